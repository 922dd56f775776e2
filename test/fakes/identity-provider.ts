// An identity provider that is only a function: documents by URL, and a list of what was asked for.

import { type IssuerSpec, issuersSetting } from '../../src/config/issuer-spec.ts';

export interface FakeProvider {
  readonly issuer: string;
  /** What each URL answers: an object as JSON, a text as it is, a function for everything else. Others are 404. */
  readonly documents: Map<string, unknown>;
  /** URLs in the order in which they were asked for. */
  readonly asked: string[];
  readonly fetch: typeof fetch;
  readonly keysUrl: string;
}

export function createFakeProvider(issuer: string, keys: unknown): FakeProvider {
  const base = issuer.replace(/\/$/, '');
  const keysUrl = `${base}/keys`;
  const documents = new Map<string, unknown>([
    [`${base}/.well-known/openid-configuration`, { issuer, jwks_uri: keysUrl }],
    [keysUrl, keys],
  ]);
  const asked: string[] = [];
  return {
    issuer,
    documents,
    asked,
    keysUrl,
    async fetch(input, init) {
      const url = String(input);
      asked.push(url);
      const document = documents.get(url);
      if (typeof document === 'function') return (document as typeof fetch)(input, init);
      if (document === undefined) return new Response('no such page', { status: 404 });
      return new Response(typeof document === 'string' ? document : JSON.stringify(document));
    },
  };
}

/** A valid entry of `issuers`, with defaults. */
export function issuerOf(entry: Readonly<Record<string, unknown>>): IssuerSpec {
  const [spec] = issuersSetting([entry], { baseDir: '/', homeDir: '/' });
  return spec as IssuerSpec;
}
