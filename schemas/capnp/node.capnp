# NodeService: the published interface of the node.
#
# Kept wire-compatible: the file id, the interface name, ordinals, order and
# types of parameters count on the wire. Parameters may only be appended.
@0xd5ca5648a9cc1c28;

interface NodeService {
  # Publishes one single-use KeyPackage; answers its SHA-256.
  uploadKeyPackage @0 (identityKey :Data, package :Data, auth :Auth) -> (fingerprint :Data);

  # Claims one KeyPackage; empty when there is none.
  fetchKeyPackage @1 (identityKey :Data, auth :Auth) -> (package :Data);

  # Queues one payload; answers after it is committed and synced.
  enqueue @2 (recipientKey :Data, payload :Data, channelId :Data, version :UInt16, auth :Auth,
              ttlSecs :UInt32) -> (seq :UInt64);

  # Leases rows of one channel of the caller's own queue.
  fetch @3 (recipientKey :Data, channelId :Data, version :UInt16, auth :Auth, limit :UInt32)
      -> (payloads :List(Envelope));

  # Like fetch, and waits up to timeoutMs for the first row.
  fetchWait @4 (recipientKey :Data, channelId :Data, version :UInt16, timeoutMs :UInt64,
                auth :Auth, limit :UInt32) -> (payloads :List(Envelope));

  health @5 () -> (status :Text);

  uploadHybridKey @6 (identityKey :Data, hybridPublicKey :Data, auth :Auth) -> ();

  # Empty when there is none.
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
