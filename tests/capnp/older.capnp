# The published interface as callers have it that were built before its last parameters were
# appended: no ttlSecs, no limit, no auth on the hybrid keys.
@0xd5ca5648a9cc1c28;

interface NodeService {
  uploadKeyPackage @0 (identityKey :Data, package :Data, auth :Auth) -> (fingerprint :Data);
  fetchKeyPackage @1 (identityKey :Data, auth :Auth) -> (package :Data);
  enqueue @2 (recipientKey :Data, payload :Data, channelId :Data, version :UInt16, auth :Auth)
      -> (seq :UInt64);
  fetch @3 (recipientKey :Data, channelId :Data, version :UInt16, auth :Auth)
      -> (payloads :List(Envelope));
  fetchWait @4 (recipientKey :Data, channelId :Data, version :UInt16, timeoutMs :UInt64,
                auth :Auth) -> (payloads :List(Envelope));
  health @5 () -> (status :Text);
  uploadHybridKey @6 (identityKey :Data, hybridPublicKey :Data) -> ();
  fetchHybridKey @7 (identityKey :Data) -> (hybridPublicKey :Data);
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
