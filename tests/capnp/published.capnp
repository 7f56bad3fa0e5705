# The published interface of the node, as a client has it that knows nothing else: a copy of its
# eight methods. Whoever changes schemas/capnp/node.capnp leaves this file alone, so that the
# tests show that such clients are still served.
@0xd5ca5648a9cc1c28;

interface NodeService {
  uploadKeyPackage @0 (identityKey :Data, package :Data, auth :Auth) -> (fingerprint :Data);
  fetchKeyPackage @1 (identityKey :Data, auth :Auth) -> (package :Data);
  enqueue @2 (recipientKey :Data, payload :Data, channelId :Data, version :UInt16, auth :Auth,
              ttlSecs :UInt32) -> (seq :UInt64);
  fetch @3 (recipientKey :Data, channelId :Data, version :UInt16, auth :Auth, limit :UInt32)
      -> (payloads :List(Envelope));
  fetchWait @4 (recipientKey :Data, channelId :Data, version :UInt16, timeoutMs :UInt64,
                auth :Auth, limit :UInt32) -> (payloads :List(Envelope));
  health @5 () -> (status :Text);
  uploadHybridKey @6 (identityKey :Data, hybridPublicKey :Data, auth :Auth) -> ();
  fetchHybridKey @7 (identityKey :Data, auth :Auth) -> (hybridPublicKey :Data);
}

struct Auth {
  version @0 :UInt16;
  accessToken @1 :Data;
  deviceId @2 :Data;
}

struct Envelope {
  seq @0 :UInt64;
  data @1 :Data;
}
