//! `qpq node token`: access tokens for clients that know only `NodeService`.

use std::path::Path;

use quicproquo_node::{
    Clock, IdentityKey, IssuedToken, TokenProof, issue_access_token, issue_proven_token,
    list_access_tokens, revoke_access_token,
};
use serde_json::json;

use crate::args::{NodeToken, TokenIssue, TokenList, TokenRevoke};
use crate::config::Settings;
use crate::data_dir;
use crate::exit::Failure;
use crate::output::{date, say, say_json};

/// Digits of a token's id: the start of its SHA-256.
const ID_DIGITS: usize = 16;

/// Runs one of the commands on the data directory of a node.
pub(crate) async fn run(settings: &Settings, command: NodeToken) -> Result<(), Failure> {
    let dir = data_dir::of_node(&settings.data_dir)?;
    match command {
        NodeToken::Issue(args) => issue(&dir, args).await,
        NodeToken::List(args) => list(&dir, &args).await,
        NodeToken::Revoke(args) => revoke(&dir, args).await,
    }
}

async fn issue(dir: &Path, args: TokenIssue) -> Result<(), Failure> {
    let clock = Clock::system();
    let life = args.ttl.as_secs();
    let (issued, token) = if let Some(path) = &args.proof {
        let proof = read_proof(path, args.identity)?;
        (issue_proven_token(dir, &proof, life, &clock).await?, None)
    } else {
        let (issued, token) = issue_access_token(dir, args.identity, life, &clock).await?;
        (issued, Some(hex::encode(token.as_bytes())))
    };
    if args.json {
        let mut line = facts(&issued);
        line["token"] = json!(token);
        return say_json(&line);
    }
    let token = token.as_deref().unwrap_or("the one that the proof was made for");
    say(format_args!(
        "Token      {token}\nId         {}\nIdentity   {}\nExpires    {}\n\n\
         It goes as 32 bytes into Auth.accessToken, and is not shown again.",
        id(&issued.hash),
        issued.identity,
        date(issued.expires_at),
    ));
    Ok(())
}

fn read_proof(path: &Path, identity: IdentityKey) -> Result<TokenProof, Failure> {
    let wrong =
        |error: &dyn std::fmt::Display| Failure::usage(format_args!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let proof: TokenProof = text.parse().map_err(|error| wrong(&error))?;
    if proof.identity == identity {
        Ok(proof)
    } else {
        Err(wrong(&"the proof is of another identity"))
    }
}

async fn list(dir: &Path, args: &TokenList) -> Result<(), Failure> {
    for token in list_access_tokens(dir).await? {
        if args.identity.is_some_and(|identity| identity != token.identity) {
            continue;
        }
        if args.json {
            say_json(&facts(&token))?;
        } else {
            say(format_args!(
                "{}  {}  {}",
                id(&token.hash),
                token.identity,
                date(token.expires_at)
            ));
        }
    }
    Ok(())
}

async fn revoke(dir: &Path, args: TokenRevoke) -> Result<(), Failure> {
    let meant = |token: &IssuedToken| match (&args.id, args.identity) {
        (Some(text), _) => {
            text.len() >= ID_DIGITS && hex::encode(token.hash).starts_with(&text.to_lowercase())
        }
        (None, identity) => identity == Some(token.identity),
    };
    let mut revoked = 0;
    for token in list_access_tokens(dir).await?.iter().filter(|token| meant(token)) {
        revoked += u32::from(revoke_access_token(dir, token.hash).await?);
    }
    if revoked == 0 && args.id.is_some() {
        return Err(Failure::other("there is no such token; `qpq node token list` shows the ids"));
    }
    say(format_args!("{revoked} revoked"));
    Ok(())
}

fn id(hash: &[u8; 32]) -> String {
    let mut digits = hex::encode(hash);
    digits.truncate(ID_DIGITS);
    digits
}

fn facts(token: &IssuedToken) -> serde_json::Value {
    json!({
        "id": id(&token.hash),
        "identity": token.identity.to_string(),
        "expires_at": date(token.expires_at),
    })
}
