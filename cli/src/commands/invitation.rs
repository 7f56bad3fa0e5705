//! `qpq invitation`: invitations of a bot into groups.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::args::{Invitation, InvitationCommand};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::{Table, printable, say, say_json};
use crate::rest::{self, Rest, find, text};

/// How often to look for an invitation that has not come yet.
const LOOK: Duration = Duration::from_millis(200);

/// Runs one of the commands.
pub(crate) async fn run(settings: &Settings, invitation: Invitation) -> Result<(), Failure> {
    let rest = rest::bot(settings, &invitation.access)?;
    let json = invitation.access.json;
    match invitation.command {
        InvitationCommand::List => list(&rest, json).await,
        InvitationCommand::Accept { invitation, wait } => {
            let id = await_one(&rest, &invitation, wait.unwrap_or_default()).await?;
            let group = rest.post(&format!("/v1/invitations/{id}/accept"), &json!({})).await?;
            if json {
                return say_json(&group);
            }
            say(text(&group, "group_id")?);
            Ok(())
        }
        InvitationCommand::Decline { invitation, wait } => {
            let id = await_one(&rest, &invitation, wait.unwrap_or_default()).await?;
            rest.post(&format!("/v1/invitations/{id}/decline"), &json!({})).await?;
            if json {
                return say_json(&json!({ "declined": id }));
            }
            say("Declined.");
            Ok(())
        }
    }
}

async fn list(rest: &Rest, json: bool) -> Result<(), Failure> {
    let invitations = rest.items("/v1/invitations").await?;
    if json {
        return invitations.iter().try_for_each(say_json);
    }
    let mut table = Table::new(["GROUP", "FROM", "MEMBERS", "RECEIVED", "ID"]);
    for invitation in &invitations {
        let inviter = &invitation["inviter"];
        let from = inviter["name"].as_str().or(inviter["identity"].as_str()).unwrap_or("-");
        table.row([
            printable(&text(invitation, "group_name")?),
            from.to_owned(),
            invitation["member_count"].to_string(),
            text(invitation, "received_at")?,
            text(invitation, "invitation_id")?,
        ]);
    }
    table.print("There are no invitations.");
    Ok(())
}

/// The id of an invitation that is given by its id or its group, once it is there.
async fn await_one(rest: &Rest, given: &str, wait: Duration) -> Result<String, Failure> {
    let begun = Instant::now();
    loop {
        let all = rest.items("/v1/invitations").await?;
        let fields = ["group_id", "group_name"];
        let found = find("invitation", given, &all, "invitation_id", &fields);
        match found {
            Err(failure) if failure.exit == Exit::NotFound && begun.elapsed() < wait => {
                sleep(LOOK).await;
            }
            found => return found,
        }
    }
}
