// How a resource names what it may not contain: a secret's file, or a variable of the gateway's environment.

import { z } from 'zod';

/** Names that would be a path or an option elsewhere are refused: a secret's name and key become `<home>/secrets/<name>/<key>`. */
const secretPart = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9_]([A-Za-z0-9._-]*)$/, 'must contain only letters, digits, "-", "_" and "." and not begin with "." or "-"');

/** `<home>/secrets/<name>/<key>`, or a key of a Kubernetes Secret. */
export const secretKeyRef = z
  .strictObject({ name: secretPart.describe('The name of the Secret.'), key: secretPart.describe('The key in it.') })
  .describe('A key of a Secret; locally the file <home>/secrets/<name>/<key>.');

export const variableName = z
  .string()
  .max(256)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable');
