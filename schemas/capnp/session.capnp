# The session interface: what quicproquo's own clients use beside NodeService.
#
# Sizes: identity keys 32 bytes, instances 16, signatures 64, SHA-256 32.
# Times are unix seconds. Errors are exceptions whose text is "E0NN NAME: text"; a refused call
# has changed nothing, unless its comment says so. Numbers given here are defaults of the node.
@0xb1f5c2f3a4c0d7e9;

using NodeCapnp = import "node.capnp";

# The bootstrap object. A caller that knows only NodeService is served too.
interface Node extends (NodeCapnp.NodeService) {
  # Proves the key by a signature over the TLS exporter of this connection and
  # becomes the identity's one live Session. `invite` counts only when the identity comes for
  # the first time and the node's policy asks for an invite; it is empty otherwise.
  # lastSend and ackedUpTo are the highest this node has seen of the identity; time is its clock, in
  # unix seconds.
  authenticate @0 (identityKey :Data, incarnation :UInt64, instance :Data, attempt :UInt64,
                   invite :Text, signature :Data)
      -> (session :Session, lastSend :SendId, ackedUpTo :UInt64, time :UInt64);

  # Empty identityKey: nobody has the name.
  resolveName @1 (name :Text) -> (identityKey :Data, signature :Data);

  # All names of an identity, the first claimed first.
  namesOf @2 (identityKey :Data) -> (names :List(Text));
}

# Whoever holds it has proved the key.
interface Session {
  # A token for NodeService's Auth; dies with this Session or at expiresAt.
  accessToken @0 () -> (token :Data, expiresAt :UInt64);

  # One-time packages are appended; lastResort replaces the one of its ciphersuite, unless empty.
  # With `replace` the former one-time packages of the ciphersuites that come are forgotten, as far
  # as nobody has claimed them.
  publishKeyPackages @1 (oneTime :List(Data), lastResort :Data, replace :Bool)
      -> (stock :List(Stock));

  # One per identity, in order; empty data: none to be had.
  claimKeyPackages @2 (identities :List(Data), ciphersuite :UInt16) -> (packages :List(Data));

  keyPackageStock @3 () -> (stock :List(Stock));

  # Atomic multicast: all queue positions in one transaction. `id.incarnation` must be the
  # Session's own. A replay of `id` answers the kept results word for word.
  # ttlSecs 0: the default.
  # After one was refused for now (QUEUE_FULL, STORAGE_FULL, RATE_LIMITED, INTERNAL), those with a
  # higher counter are refused too, until it comes again or is asked about.
  # ownNext: the position that the caller's own queue was to give next when this was queued. Of
  # two sends that share recipients, another one came first if its row for the caller is below
  # ownNext. 0: not known.
  send @4 (id :SendId, deliveries :List(Delivery), body :Data, channelId :Data, ttlSecs :UInt32)
      -> (results :List(DeliveryResult), ownNext :UInt64);

  # What became of a send. One that was refused for now need not come again then.
  sendResult @5 (id :SendId) -> (known :Bool, results :List(DeliveryResult), ownNext :UInt64);

  # The node pushes from the oldest unacknowledged row on, within the window. One at a time:
  # a second call replaces the first. Dropping the subscription ends it.
  subscribe @6 (sink :Sink) -> (subscription :Subscription);

  # Deletes all rows up to and with seqUpTo.
  ack @7 (seqUpTo :UInt64) -> ();

  # Reads without removing. limit 0: as many as fit.
  peek @8 (after :UInt64, limit :UInt32) -> (rows :List(Row));

  # Signature over "quicproquo-name-v1" || length u8 || name || identity. First come; a name of a
  # deleted identity is free for nobody but the key that was named as its heir.
  claimName @9 (name :Text, signature :Data) -> ();

  # Stores a blob, named by the SHA-256 of its bytes, piece by piece from offset 0 on. `size` is
  # that of the whole blob, 1 byte to 100 MiB, and the same in every call. A piece has at most
  # 1 MiB and, unless it is the last one, at least 64 KiB. An offset that is not `received` is
  # refused (BAD_OFFSET). An empty chunk changes nothing and tells where to go on.
  # The last piece is answered after the hash was checked; when it is wrong the upload is thrown
  # away (BAD_BLOB). `complete`: the node has the blob, and the caller a reference to it that
  # ends after 30 days; so it is at once when somebody else has stored the same bytes, and a
  # call for a blob that the caller refers to already renews the reference.
  # Nobody but the caller sees an unfinished upload, which ends a day after its last piece.
  # References and unfinished uploads of one identity have together at most 1 GiB
  # (QUOTA_EXCEEDED).
  putBlob @10 (sha256 :Data, size :UInt64, offset :UInt64, chunk :Data)
      -> (received :UInt64, complete :Bool);

  # Bytes of a complete blob from `offset` on: at most `limit` and 1 MiB (limit 0), and less where
  # the node likes; empty at and beyond the end. NO_SUCH_BLOB: not here, or not complete.
  getBlob @11 (sha256 :Data, offset :UInt64, limit :UInt32) -> (chunk :Data, size :UInt64);

  # Whether a complete blob is here, and its bytes.
  blobSize @12 (sha256 :Data) -> (known :Bool, size :UInt64);

  # Ends the caller's own reference or unfinished upload. The blob goes with its last reference.
  releaseBlob @13 (sha256 :Data) -> ();

  # Removes everything of this identity: packages, hybrid key, queue, kept sends, references,
  # tokens, and its registration. Its names can be claimed again by `heir` alone, or by nobody
  # until the operator releases them when `heir` is empty. With an heir the signature is over
  # "quicproquo-transfer-v1" || identity || heir; else it is empty. This Session is over then.
  deleteIdentity @14 (heir :Data, signature :Data) -> ();
}

# Implemented by the client.
interface Sink {
  push @0 (rows :List(Row)) -> ();

  # The last call: another instance became the live Session.
  displaced @1 (instance :Data) -> ();
}

# Held by the client for as long as it wants rows.
interface Subscription {}

struct SendId {
  incarnation @0 :UInt64;
  counter @1 :UInt64;
}

# The recipient gets prefix, or prefix || body.
struct Delivery {
  recipientKey @0 :Data;
  prefix @1 :Data;
  includeBody @2 :Bool;
}

struct DeliveryResult {
  status @0 :Status;
  seq @1 :UInt64;

  enum Status {
    queued @0;
    full @1;
  }
}

struct Row {
  seq @0 :UInt64;
  channelId @1 :Data;
  union {
    payload @2 :Data;
    # Rows were lost here: the queue was full, or they expired unread. The number of them.
    gap @3 :UInt32;
  }
}

struct Stock {
  ciphersuite @0 :UInt16;
  oneTime @1 :UInt32;
  hasLastResort @2 :Bool;
}
