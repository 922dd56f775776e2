// The last words of npm and pip, as they were printed, and what people are told.

import { describe, expect, it } from 'vitest';
import { explainInstallFailure } from './install-failure.ts';

describe('npm', () => {
  it.each([
    [
      'npm error code E404\nnpm error 404 Not Found - GET https://registry.example/no-such\nnpm error 404\n',
      'there is no such package (GET https://registry.example/no-such answered 404): check its name',
    ],
    [
      'npm error code ETARGET\nnpm error notarget No matching version found for demo@999.0.0.\nnpm error notarget In most cases\n',
      'there is no such version (demo@999.0.0): check what stands behind the last "@"',
    ],
    [
      'npm error code ENOTFOUND\nnpm error network request to http://r.invalid/x failed, reason: getaddrinfo ENOTFOUND r.invalid\nnpm error network This',
      'the registry cannot be reached (http://r.invalid/x: getaddrinfo ENOTFOUND r.invalid): allow that connection, or name another registry with npm_config_registry',
    ],
    [
      'npm error code ECONNREFUSED\nnpm error FetchError: request to http://127.0.0.1:9/x failed, reason: connect ECONNREFUSED 127.0.0.1:9\n',
      'the registry cannot be reached (http://127.0.0.1:9/x: connect ECONNREFUSED 127.0.0.1:9): allow that connection, or name another registry with npm_config_registry',
    ],
    ['npm error code ERESOLVE\nnpm error ERESOLVE could not resolve\n', undefined],
    ['', undefined],
  ])('%j', (output, line) => {
    expect(explainInstallFailure('npm', output)).toBe(line);
  });
});

describe('pip', () => {
  it.each([
    [
      'ERROR: Could not find a version that satisfies the requirement nope (from versions: none)\nERROR: No matching distribution found for nope\n',
      'there is no such package for this Python (nope), or the package index cannot be reached: check its name, and PIP_INDEX_URL',
    ],
    [
      'ERROR: Could not find a version that satisfies the requirement six==999 (from versions: 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)\n',
      'there is no such version (six==999): check what stands behind "=="; the latest are 1.1, 1.2, 1.3, 1.4, 1.5',
    ],
    [
      "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to establish a new connection: [Errno 111] Connection refused')': /simple/six/\nERROR: Could not find a version that satisfies the requirement six (from versions: none)\n",
      'the package index cannot be reached (Failed to establish a new connection): allow that connection, or name another index with PIP_INDEX_URL',
    ],
    ['ERROR: Failed building wheel for demo\n', undefined],
  ])('%j', (output, line) => {
    expect(explainInstallFailure('pypi', output)).toBe(line);
  });
});
