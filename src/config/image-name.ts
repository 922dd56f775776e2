// An image as one reference and as Microsoft's gateway takes it: a name and a version, with the mark between them that its kind has.

/** Programs, URLs, and what has none, have no version. */
export function nameAndVersion(image: string): { readonly imageName: string; readonly imageVersion: string } {
  const [at, length] = versionMark(image);
  return at < 0 ? { imageName: image, imageVersion: '' } : { imageName: image.slice(0, at), imageVersion: image.slice(at + length) };
}

/** The opposite: Microsoft's gateway puts a ":" between the two of a container image. */
export function imageOf(name: string, version: string): string {
  if (version === '') return name;
  if (name.startsWith('pypi:')) return `${name}==${version}`;
  if (name.startsWith('npm:') || version.startsWith('sha256:')) return `${name}@${version}`;
  return `${name}:${version}`;
}

/** Where the mark before the version is, and how long it is. */
function versionMark(image: string): [at: number, length: number] {
  if (image.startsWith('exec:') || image.includes('://')) return [-1, 0];
  if (image.startsWith('pypi:')) return [image.indexOf('=='), 2];
  // Not the one of a scope.
  if (image.startsWith('npm:')) return [image.indexOf('@', 'npm:@'.length), 1];
  const digest = image.indexOf('@');
  if (digest >= 0) return [digest, 1];
  // Not the one of a port.
  const tag = image.lastIndexOf(':');
  return [tag > image.lastIndexOf('/') ? tag : -1, 1];
}
