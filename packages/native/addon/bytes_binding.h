#ifndef WALSTACK_BYTES_BINDING_H_
#define WALSTACK_BYTES_BINDING_H_

#include <node_api.h>

namespace walstack {

// Adds crc32c, sealFrames, scanFrames and findDurabilityProof to what the addon exports.
void ExportBytes(napi_env env, napi_value exports);

}  // namespace walstack

#endif  // WALSTACK_BYTES_BINDING_H_
