// What the gateway has to know of MCP methods: which field names their subject, which only read lists.

/** The field of `params` that says what a method acts on. */
export type SubjectField = 'name' | 'uri' | 'taskId' | 'level';

const SUBJECT_FIELDS: ReadonlyMap<string, SubjectField> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['resources/subscribe', 'uri'],
  ['resources/unsubscribe', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
  ['tasks/result', 'taskId'],
  ['logging/setLevel', 'level'],
]);

const LIST_METHODS: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'tasks/list',
]);

/** Undefined for methods that act on nothing that has a name, and for unknown ones. */
export function subjectField(method: string): SubjectField | undefined {
  return SUBJECT_FIELDS.get(method);
}

/** Methods that may be sent a second time although the first may have been processed: `ping`, `server/discover` and the lists. */
export function isReplayable(method: string): boolean {
  return method === 'ping' || method === 'server/discover' || LIST_METHODS.has(method);
}
