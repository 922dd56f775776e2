// Many writers at once, and a gateway that is killed while it writes: no change is lost, and none is half made.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { type ProcessInfo, survivors } from '../harness/processes.ts';
import { type Rest, type RestAnswer, restAt } from '../harness/rest.ts';

const WRITERS = 6;
const CHANGES_EACH = 8;
const LONG_MS = 240_000;
const homes: string[] = [];
/** Of gateways that were killed: the next one on the same home ends them, if there is a next one. */
const orphans: ProcessInfo[] = [];
let gateway: Gateway | undefined;

const newHome = (): string => {
  const home = mkdtempSync(join(tmpdir(), 'gw-'));
  homes.push(home);
  return home;
};

async function start(home: string): Promise<Gateway> {
  gateway = await startGateway({ home, env: { MCP_GATEWAY_ALLOWED_IMAGES: 'ghcr.io/acme/', MCP_GATEWAY_LOG_LEVEL: 'warn' } });
  return gateway;
}

function holderAt(base: string, home: string): Rest {
  const authorization = `Bearer ${readFileSync(join(home, 'token'), 'utf8').trim()}`;
  return restAt(base, { authorization });
}

afterAll(async () => {
  if (gateway?.child.exitCode === null && gateway.child.signalCode === null) await gateway.stop();
  for (const { pid } of survivors(orphans)) process.kill(pid, 'SIGKILL');
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

const everyWriter = <T>(work: (writer: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: WRITERS }, (_, writer) => work(writer)));

describe('many writers at once', () => {
  let doors: readonly Rest[] = [];
  /** Some go through Envoy, some to the admin address. */
  const doorOf = (writer: number): Rest => doors[writer % doors.length] as Rest;

  /** Reads, changes what was read, and begins anew when somebody else was quicker. @returns how often it had to. */
  async function changed(rest: Rest, path: string, change: (seen: RestAnswer['json']) => unknown): Promise<number> {
    for (let refused = 0; ; refused += 1) {
      const seen = await rest(`GET ${path}`);
      const headers = { 'if-match': seen.headers.get('etag') ?? '' };
      const { status, text } = await rest(`PUT ${path}`, { headers, body: change(seen.json) });
      if (status === 200) return refused;
      expect(status, text).toBe(412);
    }
  }

  test('no update is lost: of a backend', async () => {
    const home = newHome();
    const { url, admin } = await start(home);
    doors = [holderAt(url, home), holderAt(admin, home)];
    await doorOf(0)('POST /adapters', { body: { name: 'list', image: 'ghcr.io/acme/server:1' } });
    const refused = await everyWriter(async (writer) => {
      let times = 0;
      for (let n = 0; n < CHANGES_EACH; n += 1) {
        const name = `W${writer}_${n}`;
        times += await changed(doorOf(writer), '/adapters/list', (seen) => ({
          ...seen,
          args: [...seen.args, name],
          environmentVariables: { ...seen.environmentVariables, [name]: `value of ${name}` },
        }));
      }
      return times;
    });
    const { json } = await doorOf(0)('GET /adapters/list');
    const names = Array.from({ length: WRITERS * CHANGES_EACH }, (_, at) => `W${Math.floor(at / CHANGES_EACH)}_${at % CHANGES_EACH}`);
    expect(json.args.toSorted()).toEqual(names);
    expect(Object.keys(json.environmentVariables).toSorted()).toEqual(names);
    const { spec } = JSON.parse(readFileSync(join(home, 'registry', 'MCPBackend.list.json'), 'utf8'));
    expect(spec.env.every(({ name, value }: Record<string, string>) => value === `value of ${name}`)).toBe(true);
    // They did meet.
    expect(refused.some((times) => times > 0)).toBe(true);
  });

  test('no update is lost: of a tenant', async () => {
    await doorOf(0)('POST /tenants', { body: { name: 'sum', priority: 0 } });
    await everyWriter(async (writer) => {
      for (let n = 0; n < CHANGES_EACH; n += 1) {
        await changed(doorOf(writer), '/tenants/sum', (seen) => ({ ...seen, priority: seen.priority + 1 }));
      }
    });
    expect((await doorOf(0)('GET /tenants/sum')).json.priority).toBe(WRITERS * CHANGES_EACH);
  });

  test('no adjustment is lost, although nobody looks first', async () => {
    await doorOf(0)('POST /tenants', { body: { name: 'quotas' } });
    await everyWriter(async (writer) => {
      for (let n = 1; n <= CHANGES_EACH; n += 1) {
        const quotas = [{ requests: n, per: '1h', tool: `tool_${writer}` }];
        expect((await doorOf(writer)('PATCH /tenants/quotas', { body: { quotas } })).status).toBe(200);
      }
    });
    const { quotas } = (await doorOf(0)('GET /tenants/quotas')).json;
    expect(quotas.map(({ tool, requests }: { tool: string; requests: number }) => `${tool} ${requests}`).toSorted()).toEqual(
      Array.from({ length: WRITERS }, (_, writer) => `tool_${writer} ${CHANGES_EACH}`),
    );
  });

  test('a name is given once', async () => {
    for (const [path, body] of [
      ['/adapters', { image: 'ghcr.io/acme/server:1' }],
      ['/tenants', {}],
    ] as const) {
      for (const name of ['first', 'second', 'third']) {
        const answers = await everyWriter((writer) => doorOf(writer)(`POST ${path}`, { body: { name, ...body } }));
        expect(answers.map(({ status }) => status).toSorted()).toEqual([201, ...Array.from({ length: WRITERS - 1 }, () => 409)]);
        const removed = await everyWriter((writer) => doorOf(writer)(`DELETE ${path}/${name}`));
        expect(removed.map(({ status }) => status).toSorted()).toEqual([204, ...Array.from({ length: WRITERS - 1 }, () => 404)]);
      }
    }
  });

  test('whoever removes what somebody else has changed is told', async () => {
    const rest = doorOf(0);
    for (let n = 0; n < CHANGES_EACH; n += 1) {
      const { headers } = await rest('POST /adapters', { body: { name: 'race', image: 'ghcr.io/acme/server:1' } });
      const tag = { 'if-match': headers.get('etag') ?? '' };
      const [put, del] = await Promise.all([
        doorOf(1)('PUT /adapters/race', { headers: tag, body: { image: 'ghcr.io/acme/server:2' } }),
        rest('DELETE /adapters/race', { headers: tag }),
      ]);
      // One of the two was first.
      expect([`${put.status} ${del.status}`]).toContainEqual(put.status === 200 ? '200 412' : '404 204');
      expect((await rest('GET /adapters/race')).status).toBe(put.status === 200 ? 200 : 404);
      if (put.status === 200) await rest('DELETE /adapters/race');
    }
  });

  test('and all of it is there after the next start', async () => {
    const home = homes.at(-1) as string;
    const before = (await doorOf(0)('GET /adapters/list')).json.revision;
    await gateway?.stop();
    const { url } = await start(home);
    expect((await holderAt(url, home)('GET /adapters/list')).json.revision).toBe(before);
    await gateway?.stop();
  });
});

describe('a gateway that is killed while it writes', () => {
  /** Large enough that a write takes its time. */
  const CHUNK = 'x'.repeat(32_000);
  const VARIABLES = 12;
  /** How many changes have been answered when it is killed. */
  const ROUNDS = [0, 2, 7, 13, 25];

  const bodyOf = (name: string, mark: string) => ({
    ...{ name, image: 'ghcr.io/acme/server:1', args: [mark] },
    environmentVariables: Object.fromEntries(Array.from({ length: VARIABLES }, (_, n) => [`V${n}`, `${mark} ${CHUNK}`])),
  });

  /** The mark of a whole resource as it lies on the disk. */
  function markOf(home: string, name: string): string | undefined {
    const file = join(home, 'registry', `MCPBackend.${name}.json`);
    if (!readdirSync(join(home, 'registry')).includes(`MCPBackend.${name}.json`)) return undefined;
    const { metadata, spec } = JSON.parse(readFileSync(file, 'utf8'));
    const [mark] = spec.args;
    expect(metadata.name).toBe(name);
    expect(spec.env).toEqual(Array.from({ length: VARIABLES }, (_, n) => ({ name: `V${n}`, value: `${mark} ${CHUNK}` })));
    return mark;
  }

  test(
    'what was answered is there whole, the rest whole or not at all',
    async () => {
      const home = newHome();
      /** By name, what was asked for last and what was answered last: a mark, or undefined for none. */
      const asked = new Map<string, (string | undefined)[]>();
      let now = await start(home);
      for (const [round, enough] of ROUNDS.entries()) {
        const rest = holderAt(now.url, home);
        let answered = 0;
        let reached = (): void => {};
        const inTheMiddle = new Promise<void>((resolve) => {
          reached = resolve;
        });
        /** Goes on until the gateway is gone. */
        const writer = async (lane: number): Promise<void> => {
          for (let n = 0; ; n += 1) {
            const name = `r${round}-${lane}-${n}`;
            const steps = [
              { line: 'POST /adapters', good: 201, mark: 'made' },
              { line: `PUT /adapters/${name}`, good: 200, mark: 'changed' },
              ...(n % 2 === 0 ? [{ line: `DELETE /adapters/${name}`, good: 204, mark: undefined }] : []),
            ];
            for (const { line, good, mark } of steps) {
              const before = asked.get(name)?.at(-1);
              asked.set(name, [before, mark]);
              const body = mark === undefined ? {} : { body: bodyOf(name, mark) };
              const status = await rest(line, body).then(
                (answer) => answer.status,
                () => 0,
              );
              if (status !== good) {
                // Behind a gateway that is gone there is only Envoy.
                expect([0, 502, 503, 504]).toContain(status);
                return;
              }
              asked.set(name, [mark]);
              answered += 1;
              if (answered > enough) reached();
            }
          }
        };
        const lanes = Array.from({ length: 4 }, (_, lane) => writer(lane));
        await Promise.race([inTheMiddle, Promise.all(lanes)]);
        orphans.push(...now.pids());
        await now.kill('SIGKILL');
        await Promise.all(lanes);
        expect(answered).toBeGreaterThan(enough);

        now = await start(home);
        const files = readdirSync(join(home, 'registry'));
        expect(files.filter((file) => !/^MCPBackend\.[a-z0-9-]+\.json$/.test(file))).toEqual([]);
        const listed = (await holderAt(now.url, home)('GET /adapters')).json as { name: string; args: string[] }[];
        const shown = new Map(listed.map(({ name, args }) => [name, args[0]]));
        for (const [name, possible] of asked) {
          const mark = markOf(home, name);
          expect(possible, `${name}: ${String(mark)}`).toContain(mark);
          expect(shown.get(name)).toBe(mark);
          asked.set(name, [mark]);
        }
        expect(shown.size).toBe(files.length);
        expect(now.logs()).not.toContain('registered resource not read');
      }
      await now.stop();
    },
    LONG_MS,
  );
});
