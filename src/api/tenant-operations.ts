// The operations on tenants: what they may use up, how much of it they have used, and changes of both.

import { z } from 'zod';
import { tenantAdjustment, tenantData } from '../control/tenant-data.ts';
import type { TenantDetail } from '../control/tenant-view.ts';
import type { TenantControl } from '../control/tenants.ts';
import { empty, json } from './answer.ts';
import { type Operation, operation, page, paged } from './operation.ts';
import { tenantDetail, tenantList } from './schemas.ts';

const shown = (status: number, tenant: TenantDetail, headers: Readonly<Record<string, string>> = {}) =>
  json(status, tenant, { etag: `"${tenant.revision}"`, ...headers });

export function tenantOperations(tenants: TenantControl): readonly Operation[] {
  return [
    operation({
      method: 'GET',
      path: '/tenants',
      id: 'listTenants',
      summary: 'List the tenants, in the order in which callers are matched',
      query: z.strictObject(page),
      answers: { 200: tenantList },
      headers: ['Link'],
      handle({ query, actor }) {
        const { items, headers } = paged(tenants.list(actor), ({ name }) => name, query, '/tenants');
        return json(200, { tenants: items }, headers);
      },
    }),
    operation({
      method: 'POST',
      path: '/tenants',
      id: 'createTenant',
      summary: 'Register a tenant',
      body: tenantData.meta({ id: 'TenantData' }),
      answers: { 201: tenantDetail },
      headers: ['ETag', 'Location'],
      async handle({ body, actor }) {
        const tenant = await tenants.create(body, actor);
        return shown(201, tenant, { location: `/tenants/${tenant.name}` });
      },
    }),
    operation({
      method: 'GET',
      path: '/tenants/{name}',
      id: 'getTenant',
      summary: 'Show a tenant with the use of its quotas and limits',
      answers: { 200: tenantDetail },
      headers: ['ETag'],
      handle: async ({ name, actor }) => shown(200, await tenants.get(name, actor)),
    }),
    operation({
      method: 'PUT',
      path: '/tenants/{name}',
      id: 'updateTenant',
      summary: 'Declare a registered tenant anew',
      description: 'As a whole: what is left out has its default again. Fields of an answer that cannot be set are not looked at.',
      body: tenantData.partial({ name: true }).meta({ id: 'TenantChange' }),
      conditional: true,
      answers: { 200: tenantDetail },
      headers: ['ETag'],
      handle: async ({ name, body, expected, actor }) => shown(200, await tenants.replace(name, body, expected, actor)),
    }),
    operation({
      method: 'PATCH',
      path: '/tenants/{name}',
      id: 'adjustTenant',
      summary: 'Change single quotas and limits of a registered tenant',
      description: 'What is not named stays as it is; null takes a quota or limit away.',
      body: tenantAdjustment.meta({ id: 'TenantAdjustment' }),
      conditional: true,
      answers: { 200: tenantDetail },
      headers: ['ETag'],
      handle: async ({ name, body, expected, actor }) => shown(200, await tenants.adjust(name, body, expected, actor)),
    }),
    operation({
      method: 'DELETE',
      path: '/tenants/{name}',
      id: 'deleteTenant',
      summary: 'Remove a registered tenant',
      description: 'Tenants that are declared in files are removed there.',
      conditional: true,
      answers: { 204: undefined },
      async handle({ name, expected, actor }) {
        await tenants.remove(name, expected, actor);
        return empty(204);
      },
    }),
  ];
}
