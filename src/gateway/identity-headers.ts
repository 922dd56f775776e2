// The headers that tell an upstream who is calling; a client's own are gone before (Envoy strips `x-mcp-*`).

import type { TicketCaller } from '../session/ticket.ts';

const PRINTABLE = /^[\x21-\x7e]*$/;

/** Values with other than visible ASCII characters are percent-encoded: a header cannot carry them. */
export function identityHeaders(caller: TicketCaller): (readonly [string, string])[] {
  return [
    ['x-mcp-subject', encode(caller.subject)],
    ['x-mcp-tenant', encode(caller.tenant)],
    ['x-mcp-roles', caller.roles.map(encode).join(',')],
  ];
}

function encode(value: string): string {
  return PRINTABLE.test(value) ? value : encodeURIComponent(value);
}
