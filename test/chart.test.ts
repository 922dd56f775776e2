// What holds of the chart and the kustomize base without a cluster: versions, images and settings that belong together.

import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadSettings } from '../src/config/settings-load.ts';
import { version } from '../src/config/version.ts';
import { pinnedEnvoyVersion } from '../src/envoy/binary-pins.ts';
import { problemOfValues } from './harness/chart-values.ts';

const k8s = resolve(import.meta.dirname, '../k8s');
const read = (file: string): string => readFileSync(resolve(k8s, file), 'utf8');

describe('versions', () => {
  test('the chart is of this version, and so are its images and those of the base', () => {
    expect(parse(read('chart/Chart.yaml'))).toMatchObject({ version: version(), appVersion: version() });
    for (const file of ['base/gateway.yaml', 'base/controller.yaml']) {
      expect([...read(file).matchAll(/image: mcp-gateway:(\S+)/g)].map(([, tag]) => tag)).toContain(version());
    }
    for (const file of ['base/config/gateway.yaml', 'overlays/production/config/gateway.yaml']) {
      expect(parse(read(file))).toMatchObject({ runnerImage: `mcp-gateway-runner:${version()}` });
    }
  });

  test('Envoy is the one that everything is tested with', () => {
    expect(parse(read('chart/values.yaml'))).toMatchObject({ images: { envoy: { tag: `distroless-v${pinnedEnvoyVersion}` } } });
    expect(read('base/gateway.yaml')).toMatch(new RegExp(`image: envoyproxy/envoy:distroless-v${pinnedEnvoyVersion}(@sha256:\\w+)?\\n`));
  });
});

test.each(['base/config/gateway.yaml', 'overlays/production/config/gateway.yaml'])('%s is taken', (file) => {
  const configFile = resolve(k8s, file);
  const { settings, warnings } = loadSettings({ flags: {}, configFile, env: {}, workingDir: k8s });
  expect(warnings).toEqual([]);
  expect(settings).toMatchObject({
    controllerUrl: `http://mcp-gateway-controller.${settings.gatewayNamespace}:8082`,
    home: '/run/mcp-gateway',
  });
});

test('every document of the base is one object', () => {
  const files = readdirSync(resolve(k8s, 'base')).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml');
  for (const file of files) {
    for (const document of parseAllDocuments(read(`base/${file}`))) {
      expect(document.errors).toEqual([]);
      expect(document.toJS()).toMatchObject({
        apiVersion: expect.any(String),
        kind: expect.any(String),
        metadata: { name: expect.any(String) },
      });
    }
  }
});

describe('the schema of the values', () => {
  test('takes what values.yaml says', () => {
    expect(problemOfValues('{}')).toBeUndefined();
  });

  test.each([
    'gateway: { replica: 2 }',
    'gateway: { replicas: 0 }',
    'publicURL: https://mcp.example.com',
    'settings: { listen: 0.0.0.0:8080 }',
    'settings: { nonsense: true }',
    'backends: { Github: { image: x } }',
    'backends: { github: { image: x, replicas: many } }',
    'backends: { github: { image: x, env: { A: b } } }',
    'tenants: { engineering: { quotas: [{ per: 1h }] } }',
    'issuers: [https://login.example.com/]',
    'images: { gateway: { digest: latest } }',
    'tls: { secretName: Not_a_name }',
  ])('refuses %s', (text) => {
    expect(problemOfValues(text)).toBeDefined();
  });
});
