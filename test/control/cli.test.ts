// `mcp-gateway sessions` and `tenants` as administrators run them, against a real gateway with two sidecars and real sessions.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ListedSession, SessionList } from '../../src/control/sessions.ts';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { openSession, type Session } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';

const SIDECARS = 2;
/** Every replica refuses within a second. */
const REFUSED_WITHIN_MS = 1_000;

const TENANT = `apiVersion: mcpgateway.dev/v1alpha1
kind: MCPTenant
metadata: { name: default }
spec:
  priority: 7
  quotas: [ { requests: 1000, per: 1d }, { requests: 500, per: 1d, scope: subject, tool: get } ]
  limits: { sessions: 100 }
`;

const scratch = createScratch();
let gateway: Gateway;

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command on the gateway's home, or on another one. */
function run(args: readonly string[], home = gateway.home): Promise<Outcome> {
  return new Promise((done) => {
    const options = { env: { PATH: process.env['PATH'], HOME: scratch.folder, MCP_GATEWAY_HOME: home }, timeout: 30_000 };
    execFile(process.execPath, [MAIN, ...args], options, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

async function listed(...filter: readonly string[]): Promise<readonly ListedSession[]> {
  const { code, stdout, stderr } = await run(['sessions', 'list', '--json', ...filter]);
  expect([code, stderr]).toEqual([0, '']);
  return (JSON.parse(stdout) as SessionList).sessions;
}

/** Opens a session and finds out its key. */
async function openKnown(backend: string): Promise<{ readonly session: Session; readonly key: string }> {
  const before = new Set((await listed('--backend', backend)).map(({ key }) => key));
  const session = await openSession(gateway.backendUrl(backend));
  const added = (await listed('--backend', backend)).filter(({ key }) => !before.has(key));
  expect(added).toHaveLength(1);
  return { session, key: added[0]?.key ?? '' };
}

const ping = { jsonrpc: '2.0', id: 7, method: 'ping' };

/** Many requests at once: each sidecar has its turn. */
async function expectRefused(session: Session): Promise<void> {
  const refusal = '404 {"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"Session not found"}}';
  await waitFor(
    'every sidecar to refuse the session',
    async () => {
      const answers = await Promise.all(Array.from({ length: 12 * SIDECARS }, () => session.send(ping)));
      return answers.every(({ status, text }) => `${status} ${text.trim()}` === refusal);
    },
    { timeoutMs: REFUSED_WITHIN_MS },
  );
}

beforeAll(async () => {
  gateway = await startGateway({
    workers: SIDECARS,
    resources: [
      serverBackend('one', 'counter-server', { env: { COUNTER_JOURNAL: scratch.journalPath('one') } }),
      serverBackend('two', 'counter-server'),
      { file: 'tenant.yaml', yaml: TENANT },
    ],
    args: ['--config', auditSettings()],
  });
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

const auditFile = join(scratch.folder, 'audit.log');

function auditSettings(): string {
  const file = join(scratch.folder, 'gateway.yaml');
  writeFileSync(file, `auditLog: ${JSON.stringify(auditFile)}\n`);
  return file;
}

describe('sessions list', () => {
  test('shows an open session in a table and as JSON, and nothing that a client could use', async () => {
    const { session, key } = await openKnown('one');
    const report = await session.call('whoami');
    const [found] = (await listed('--backend', 'one')).filter((each) => each.key === key);
    expect(found).toMatchObject({
      backend: 'one',
      tenant: 'default',
      issuer: 'local',
      subject: 'local',
      generation: 0,
      instance: expect.any(String),
    });
    expect(Date.parse(found?.expiresAt ?? '')).toBeGreaterThan(Date.now());

    const { code, stdout, stderr } = await run(['sessions', 'list', '--backend', 'one']);
    expect([code, stderr]).toEqual([0, '']);
    const [heading, ...rows] = stdout.trimEnd().split('\n');
    expect(heading).toMatch(/^KEY +BACKEND +TENANT +SUBJECT +LAST USED +OPENED +INSTANCE +ISSUER$/);
    expect(rows.find((row) => row.startsWith(key))).toMatch(/^\S+ +one +default +local +\d+s ago +\d+[sm] ago +\S+ +local$/);
    for (const secret of [session.id, report.session as string, '\u001b']) expect(stdout).not.toContain(secret);
  });

  test('takes filters and a limit, and says when there is more', async () => {
    await openSession(gateway.backendUrl('two'));
    await openSession(gateway.backendUrl('two'));
    expect((await listed('--backend', 'two')).length).toBeGreaterThanOrEqual(2);
    expect(await listed('--subject', 'nobody')).toEqual([]);
    const { stdout, stderr } = await run(['sessions', 'list', '--issuer', 'local', '--tenant', 'default', '--limit', '1']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stderr).toBe('there are more: raise --limit, or name a backend, tenant or caller\n');
    expect((await run(['sessions', 'list', '--backend', 'none'])).stdout).toBe('no open sessions\n');
  });
});

describe('sessions end', () => {
  test('KEY: every sidecar refuses the session within a second, its server has ended it, and the others go on', async () => {
    const { session, key } = await openKnown('one');
    const other = await openSession(gateway.backendUrl('one'));
    const { session: upstream } = await session.call('put', { value: 'x' });
    expect(await run(['sessions', 'end', key])).toEqual({ code: 0, stdout: `session ${key} is ended\n`, stderr: '' });
    await expectRefused(session);
    await waitFor('its server to end it', () =>
      scratch.journal('one').some((entry) => entry.event === 'ended' && entry.session === upstream),
    );
    expect(await other.call('get')).toMatchObject({ calls: 1 });
    expect((await listed()).map((each) => each.key)).not.toContain(key);
    expect(await run(['sessions', 'end', key])).toEqual({ code: 1, stdout: '', stderr: `mcp-gateway: there is no open session ${key}\n` });
  });

  test('--issuer and --subject: all of a caller end, on every backend, and new ones can be opened', async () => {
    const sessions = [await openSession(gateway.backendUrl('one')), await openSession(gateway.backendUrl('two'))];
    const open = (await listed()).length;
    expect(await run(['sessions', 'end', '--issuer', 'local', '--subject', 'nobody'])).toMatchObject({
      code: 0,
      stdout: '0 open sessions of nobody (local) ended\n',
    });
    expect(await listed()).toHaveLength(open);
    expect(await run(['sessions', 'end', '--issuer', 'local', '--subject', 'local'])).toEqual({
      code: 0,
      stdout: `${open} open sessions of local (local) ended\n`,
      stderr: '',
    });
    for (const session of sessions) await expectRefused(session);
    expect(await listed()).toEqual([]);
    // What is begun in the same second is refused, too.
    const fresh = await waitFor('a new session', async () => (await openSession(gateway.backendUrl('one'))).call('get'));
    expect(fresh).toMatchObject({ calls: 1 });
  });

  test('each change is in the audit log', async () => {
    const lines = await waitFor('the lines', () => {
      const all = readFileSync(auditFile, 'utf8').trimEnd().split('\n');
      const changes = all.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ event }) => event === 'admin');
      return changes.length >= 4 && changes;
    });
    const caller = { issuer: 'local', subject: 'control-token' };
    expect(lines).toEqual([
      expect.objectContaining({ action: 'session.end', outcome: 'done', caller }),
      expect.objectContaining({ action: 'session.end', outcome: 'refused', caller }),
      expect.objectContaining({ action: 'caller.revoke', target: 'local nobody', outcome: 'done', caller }),
      expect.objectContaining({ action: 'caller.revoke', target: 'local local', outcome: 'done', caller }),
    ]);
  });

  test.each([
    ['neither', []],
    ['half a caller', ['--issuer', 'local']],
    ['the other half', ['--subject', 'local']],
    ['both', ['key', '--issuer', 'local', '--subject', 'local']],
  ])('%s: a usage error, and nothing ends', async (_, args) => {
    const { code, stdout, stderr } = await run(['sessions', 'end', ...args]);
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: 'mcp-gateway: name either the KEY of a session, or a caller with both --issuer and --subject\n',
    });
  });
});

describe('tenants', () => {
  test('list', async () => {
    const { code, stdout } = await run(['tenants', 'list']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^NAME +PRIORITY .*\ndefault +7 +1000\/1d, 500\/1d each +100 +- +allow-local +-\n$/);
    expect(JSON.parse((await run(['tenants', 'list', '--json'])).stdout)).toMatchObject({ tenants: [{ name: 'default', priority: 7 }] });
  });

  test('get counts what is used', async () => {
    const session = await openSession(gateway.backendUrl('one'));
    const use = async () => JSON.parse((await run(['tenants', 'get', 'default', '--json'])).stdout);
    const before = await use();
    await session.call('get');
    await session.call('get');
    const after = await use();
    expect(after.quotas[0].use.used - before.quotas[0].use.used).toBe(2);
    expect(after.quotas[1].use).toBeNull();
    expect(after.use).toMatchObject({ sessions: expect.any(Number), concurrentRequests: null });
    const { stdout } = await run(['tenants', 'get', 'default']);
    expect(stdout).toMatch(/\ntool calls per 1d +\d+ +1000 +in \d+[hms]\n/);
  });

  test('get of a name that nobody has', async () => {
    expect(await run(['tenants', 'get', 'blue'])).toEqual({ code: 1, stdout: '', stderr: 'mcp-gateway: there is no tenant blue\n' });
  });
});

describe('how a command finds its gateway', () => {
  const withHome = async (check: (home: string) => Promise<void>): Promise<void> => {
    const home = mkdtempSync(join(tmpdir(), 'gw-'));
    try {
      await check(home);
    } finally {
      rmSync(home, { recursive: true });
    }
  };

  test('by --home, which wins over the environment', async () => {
    expect(await run(['tenants', 'list', '--home', gateway.home], '/nowhere')).toMatchObject({ code: 0 });
  });

  test('no gateway in this home: what to do', () =>
    withHome(async (home) => {
      const nobody = {
        code: 1,
        stdout: '',
        stderr: `mcp-gateway: no gateway runs in ${home}: start it with "mcp-gateway up", or name its folder with --home\n`,
      };
      expect(await run(['sessions', 'list'], home)).toEqual(nobody);
      // The pid of this line belongs to a process that has ended: whoever has the port now is not sent the token.
      const { pid } = spawnSync(process.execPath, ['--version']);
      writeFileSync(join(home, 'gateway.json'), JSON.stringify({ pid, url: gateway.url, admin: gateway.admin }));
      expect(await run(['sessions', 'list'], home)).toEqual(nobody);
    }));

  test('a missing or wrong token, a gateway that does not answer: one line each', () =>
    withHome(async (home) => {
      const note = (admin: string) => writeFileSync(join(home, 'gateway.json'), JSON.stringify({ pid: process.pid, url: '', admin }));
      const token = join(home, 'token');
      note(gateway.admin);
      expect(await run(['sessions', 'list'], home)).toMatchObject({
        code: 1,
        stderr: `mcp-gateway: ${token} is missing: restart the gateway of ${home} to get a new one\n`,
      });
      writeFileSync(token, `${'x'.repeat(43)}\n`);
      expect(await run(['sessions', 'list'], home)).toMatchObject({
        code: 1,
        stderr: `mcp-gateway: the gateway at ${gateway.admin} does not take the token of ${token}: restart it\n`,
      });
      // Nothing listens on the discard port.
      note('http://127.0.0.1:9');
      expect(await run(['sessions', 'list'], home)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^mcp-gateway: the gateway at http:\/\/127\.0\.0\.1:9 does not answer: see \S+\/logs\n$/),
      });
    }));

  test('the token is for its owner only', () => {
    expect(statSync(join(gateway.home, 'token')).mode & 0o777).toBe(0o600);
    expect(statSync(join(gateway.home, 'gateway.json')).mode & 0o777).toBe(0o600);
    expect(gateway.logs()).not.toContain(readFileSync(join(gateway.home, 'token'), 'utf8').trim());
  });
});

test('help has examples, and only the options that matter', async () => {
  for (const command of [
    ['sessions', 'list'],
    ['sessions', 'end'],
    ['tenants', 'list'],
    ['tenants', 'get'],
  ]) {
    const { code, stdout } = await run([...command, '--help']);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`$ mcp-gateway ${command.join(' ')}`)]);
    expect(stdout).toContain('--home <DIR>');
    expect(stdout).not.toContain('--listen');
  }
});

test.each(['0', '1001', 'x', '1.5'])('--limit %s is a usage error', async (limit) => {
  expect(await run(['sessions', 'list', '--limit', limit])).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/^mcp-gateway: .*from 1 to 1000\.\n$/),
  });
});
