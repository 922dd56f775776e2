// The gRPC services that Envoy calls, loaded from proto/ once, and the wire shapes that they speak.

import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const PROTO_ROOT = fileURLToPath(new URL('../../proto/', import.meta.url));

const FILES = [
  'envoy/service/auth/v3/external_auth.proto',
  'envoy/service/ext_proc/v3/external_processor.proto',
  'envoy/service/accesslog/v3/als.proto',
  'grpc/health/v1/health.proto',
];

interface Service {
  readonly service: ServiceDefinition<UntypedServiceImplementation>;
}

interface Packages {
  readonly envoy: {
    readonly service: {
      readonly auth: { readonly v3: { readonly Authorization: Service } };
      readonly ext_proc: { readonly v3: { readonly ExternalProcessor: Service } };
      readonly accesslog: { readonly v3: { readonly AccessLogService: Service } };
    };
  };
  readonly grpc: { readonly health: { readonly v1: { readonly Health: Service } } };
}

/** No `defaults`: absent fields stay absent, which is cheaper and tells "not sent" from "empty". */
export function loadServices() {
  const definition = loadSync(FILES, { includeDirs: [PROTO_ROOT], keepCase: true, oneofs: true, longs: Number });
  const packages = loadPackageDefinition(definition) as unknown as Packages;
  return {
    authorization: packages.envoy.service.auth.v3.Authorization.service,
    externalProcessor: packages.envoy.service.ext_proc.v3.ExternalProcessor.service,
    accessLog: packages.envoy.service.accesslog.v3.AccessLogService.service,
    health: packages.grpc.health.v1.Health.service,
  };
}

export interface WireHeader {
  readonly key?: string;
  readonly value?: string;
  readonly raw_value?: Buffer;
}

export interface WireHeaderOption {
  readonly header: { readonly key: string; readonly value?: string; readonly raw_value?: Buffer };
  /** HeaderAppendAction. */
  readonly append_action: number;
}

/** google.protobuf.Value and Struct, as far as they are used. */
export interface WireValue {
  readonly string_value?: string;
  readonly number_value?: number;
  readonly null_value?: number;
  readonly stringValue?: string;
  readonly numberValue?: number;
}

export interface WireStruct {
  readonly fields?: Readonly<Record<string, WireValue>>;
}

export interface WireMetadata {
  readonly filter_metadata?: Readonly<Record<string, WireStruct>>;
}

/** `OVERWRITE_IF_EXISTS_OR_ADD`, `OVERWRITE_IF_EXISTS`, `APPEND_IF_EXISTS_OR_ADD` of HeaderAppendAction. */
export const OVERWRITE_OR_ADD = 2;
export const OVERWRITE_IF_EXISTS = 3;
export const APPEND = 0;

/** The namespace in which ext_authz leaves its metadata. */
export const AUTHZ_NAMESPACE = 'envoy.filters.http.ext_authz';
