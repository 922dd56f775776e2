// Which claims of a token say who somebody is: by default, and for the identity providers whose tokens are known.

/** Names of claims; a dot leads into an object, as in `realm_access.roles`. */
export interface ClaimNames {
  readonly subject: string;
  readonly tenant?: string | undefined;
  /** All of them count together. */
  readonly roles: readonly string[];
  /** All of them count together; a text is split at its spaces. */
  readonly scopes: readonly string[];
}

/** OpenID Connect, RFC 9068 and what most providers have in common. */
export const genericClaims: ClaimNames = { subject: 'sub', roles: ['roles'], scopes: ['scope', 'scp'] };

/** Every list can be replaced in the issuer's `claims`. */
export const claimPresets = {
  // `oid`, not `sub`: Entra's `sub` is another one for each app registration, so that a person would lose sessions and creations when
  // the gateway's registration is replaced, and no administrator could look it up. It is unique within the directory, as is the issuer.
  // Of somebody with more than 200 groups the token holds none: such directories should assign app roles.
  entra: { subject: 'oid', tenant: 'tid', roles: ['roles', 'groups'], scopes: ['scp'] },
  // Client roles are not taken: their claim has the client's name in it (`resource_access.NAME.roles`).
  keycloak: { subject: 'sub', roles: ['realm_access.roles', 'groups'], scopes: ['scope'] },
  // `sub`, not `uid`: tokens of services have no `uid`.
  okta: { subject: 'sub', roles: ['groups'], scopes: ['scp'] },
  // `permissions` are what RBAC gives a user of an API: the same words as its scopes. Roles need an action that adds a claim.
  auth0: { subject: 'sub', roles: ['roles'], scopes: ['scope', 'permissions'] },
} as const satisfies Record<string, ClaimNames>;
