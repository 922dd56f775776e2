// A backend as the API takes it: Microsoft's AdapterData with the fields of MCPBackend that it lacks, and the resource that it stands for.

import { z } from 'zod';
import { backendFields, resourceName } from '../config/backend-spec.ts';
import { imageOf, nameAndVersion } from '../config/image-name.ts';
import type { ResourceDocument } from '../config/resource-document.ts';
import { variableName } from '../config/secret-ref.ts';
import { type FieldProblem, fieldProblems, invalid, objectOf } from './refusal.ts';

const MAX_IMAGE_CHARS = 2_048;
const MAX_VALUE_CHARS = 32_768;
const MAX_VARIABLES = 256;
const MAX_DESCRIPTION_CHARS = 1_024;

/**
 * What an answer says on top of what was registered. A client that sends back what it has read, changed in one place, is understood: these
 * fields are not looked at.
 */
const READ_ONLY: ReadonlySet<string> = new Set([
  ...['id', 'createdBy', 'createdAt', 'lastUpdatedAt', 'revision', 'source', 'creator'],
  ...['health', 'message', 'replicas', 'sessions', 'url', 'env', 'instances'],
]);

/** Variables with which one program makes another run other code, beside those that no resource may set. */
const REFUSED_VARIABLE =
  /^(NODE_(?!ENV$).*|PYTHON.*|PERL.*|RUBY.*|JAVA_TOOL_OPTIONS|_?J(AVA|DK_JAVA)_OPTIONS|CLASSPATH|DOTNET_.*|CORECLR_.*|LUA_.*|GLIBC_.*|COVERAGE_.*|OPENSSL_.*|SSL.*|.*_CA_BUNDLE|XDG_.*|TE?MP(DIR)?|(PUPPETEER|PLAYWRIGHT)_.*|BROWSER|EDITOR|VISUAL|PAGER|BASH_ENV|ENV|IFS|SHELL|HOME|GCONV_PATH|NPM_CONFIG_.*|PIP_.*|UV_.*|VIRTUAL_ENV|GIT_.*|(HTTPS?|ALL)_PROXY)$/i;

const { args, port, path, transport, affinity, healthCheck, sessions, scaling, resources, storage, access } = backendFields.shape;
const { trustToolHints, upstreamAuth, replicas } = backendFields.shape;

/** Without the name, which stands in the path of a change. */
const fields = {
  image: z.string().min(1).max(MAX_IMAGE_CHARS).optional().describe('One reference, or the URL of a server that runs elsewhere.'),
  imageName: z.string().min(1).max(MAX_IMAGE_CHARS).optional().describe('With `imageVersion`: the other way to name the image.'),
  imageVersion: z.string().max(128).optional(),
  environmentVariables: z
    .record(variableName, z.string().max(MAX_VALUE_CHARS).nullable())
    .refine((variables) => Object.keys(variables).length <= MAX_VARIABLES, `must have at most ${MAX_VARIABLES} entries`)
    .optional()
    .describe('Values are write-only: they are shown as null, and null leaves a value as it is. A variable that is left out is removed.'),
  replicaCount: replicas.optional(),
  description: z.string().max(MAX_DESCRIPTION_CHARS).nullish(),
  useWorkloadIdentity: z.literal(false, { error: 'is not supported' }).optional(),
  requiredRoles: z.array(z.string().min(1).max(1_024)).max(256).optional().describe('Short for `access.roles`.'),
  args: args.optional(),
  transport: transport.optional(),
  port: port.optional(),
  path: path.optional(),
  affinity: affinity.optional(),
  healthCheck: healthCheck.nullish(),
  sessionRules: sessions.optional(),
  scaling: scaling.optional(),
  resources: resources.nullish(),
  storage: storage.nullish(),
  access: access.nullish(),
  trustToolHints: trustToolHints.optional(),
  upstreamAuth: upstreamAuth.nullish(),
};

export const adapterData = z.strictObject({ name: resourceName, ...fields });
const namedInPath = z.strictObject({ name: resourceName.optional(), ...fields });

/** As it was written: durations are text, and nothing is assumed. */
export type AdapterData = z.input<typeof adapterData>;

/** @throws ControlRefusal `invalid` with every problem. @param name what the path says; undefined: the body has to say it. */
export function readAdapterData(body: unknown, name?: string): AdapterData {
  const given = Object.fromEntries(Object.entries(objectOf(body)).filter(([field, value]) => !READ_ONLY.has(field) && value !== undefined));
  const { success, error } = (name === undefined ? adapterData : namedInPath).safeParse(given);
  if (!success) throw invalid(fieldProblems(error));
  const data = { ...given, name: name ?? given['name'] } as AdapterData;
  const crossed = crossFieldProblems(data, given['name']);
  if (crossed.length > 0) throw invalid(crossed);
  return data;
}

function crossFieldProblems(data: AdapterData, givenName: unknown): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const refuse = (field: string, message: string): void => void problems.push({ field, message });
  if (givenName !== undefined && givenName !== data.name) refuse('name', `cannot be changed: this is ${data.name}`);
  if (data.image === undefined && data.imageName === undefined) refuse('image', 'must be given, or imageName and imageVersion');
  if (data.image !== undefined && data.imageName !== undefined && data.image !== namedImage(data)) {
    refuse('image', `and imageName with imageVersion (${namedImage(data)}) are two different images: give one of the two`);
  }
  const { requiredRoles, access: rules } = data;
  if (requiredRoles && rules?.roles && JSON.stringify(requiredRoles) !== JSON.stringify(rules.roles)) {
    refuse('requiredRoles', 'and access.roles differ: give one of the two');
  }
  for (const variable of Object.keys(data.environmentVariables ?? {})) {
    if (REFUSED_VARIABLE.test(variable)) {
      refuse(`environmentVariables.${variable}`, 'may not be set by API: it changes which code a process runs, or whom it trusts');
    }
  }
  // Anything else would be a way to read the gateway's own environment, or somebody else's secret.
  const { env, secretKeyRef } = data.upstreamAuth?.valueFrom ?? {};
  if (env !== undefined) refuse('upstreamAuth.valueFrom.env', 'is for files only: use secretKeyRef');
  if (secretKeyRef !== undefined && secretKeyRef.name !== data.name) {
    refuse('upstreamAuth.valueFrom.secretKeyRef.name', `must be ${data.name}: a backend may refer to the secret of its own name only`);
  }
  return problems;
}

const namedImage = ({ imageName = '', imageVersion = '' }: AdapterData): string => imageOf(imageName, imageVersion);

/** The `spec` of what was given. @param present what is registered now: values that were not given come from there. */
export function specOf(data: AdapterData, present: ResourceDocument | undefined): Record<string, unknown> {
  const image = data.image ?? namedImage(data);
  const remote = /^https?:\/\//.test(image);
  const rules = accessOf(data);
  const spec = {
    ...(remote ? { url: image } : { image }),
    args: data.args?.length === 0 && remote ? undefined : data.args,
    env: envOf(data, present),
    ...(remote ? {} : { transport: data.transport, port: data.port, path: data.path, replicas: data.replicaCount }),
    affinity: data.affinity,
    healthCheck: data.healthCheck ?? undefined,
    sessions: data.sessionRules,
    scaling: data.scaling,
    resources: data.resources ?? undefined,
    storage: data.storage ?? undefined,
    access: rules,
    trustToolHints: data.trustToolHints,
    upstreamAuth: data.upstreamAuth ?? undefined,
  };
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
}

function accessOf({ access: rules, requiredRoles }: AdapterData): unknown {
  if (!requiredRoles?.length) return rules ?? undefined;
  return { ...rules, roles: requiredRoles };
}

type Variable = { readonly name: string; readonly value: string };

function envOf(data: AdapterData, present: ResourceDocument | undefined): readonly Variable[] | undefined {
  const { environmentVariables } = data;
  // They were given to that program, in whatever version: another one could print them.
  const kept = isSameProgram(data, present) ? ((present?.spec['env'] ?? []) as readonly Variable[]) : [];
  if (!environmentVariables) return kept.length === 0 ? undefined : kept;
  const problems: FieldProblem[] = [];
  const variables = Object.entries(environmentVariables).flatMap(([name, value]) => {
    if (value !== null) return [{ name, value }];
    const before = kept.find((variable) => variable.name === name);
    if (!before) problems.push({ field: `environmentVariables.${name}`, message: 'needs a value: there is none to keep' });
    return before ? [before] : [];
  });
  if (problems.length > 0) throw invalid(problems);
  return variables.length === 0 ? undefined : variables;
}

function isSameProgram({ image, ...named }: AdapterData, present: ResourceDocument | undefined): boolean {
  const before = present?.spec['image'];
  return (
    typeof before === 'string' && nameAndVersion(image ?? namedImage(named as AdapterData)).imageName === nameAndVersion(before).imageName
  );
}

/** What a field of the resource is called here. */
export function fieldOf(path: string, spec: Readonly<Record<string, unknown>>): string {
  const [root, field = '', ...rest] = path.split('.');
  if (root !== 'spec') return path === 'metadata.name' ? 'name' : path;
  if (field === 'env') {
    const name = (spec['env'] as readonly Variable[] | undefined)?.[Number(rest[0])]?.name;
    return name === undefined ? 'environmentVariables' : `environmentVariables.${name}`;
  }
  const renamed = { url: 'image', replicas: 'replicaCount', sessions: 'sessionRules' }[field] ?? field;
  return [renamed, ...rest].join('.');
}
