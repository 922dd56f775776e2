// The environment of this process: the only place that reads it, so that everything else gets what it needs as an argument.

export function environment(): NodeJS.ProcessEnv {
  return process.env;
}
