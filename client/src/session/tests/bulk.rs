//! Many members at once.

use quicproquo_core::suite::Suite;

use super::world::{World, all, bot, group_of, heard, members, patient, text, until};
use crate::event::EventData;
use crate::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_of_members_comes_in_several_commits_and_one_outcome() {
    let world = World::new().await;
    let (client, other) = (world.client("a").await, world.client("b").await);
    let alice = bot(&client, "alice").await;
    let mut others = Vec::new();
    for n in 0..8 {
        others.push(bot(&other, &format!("bot{n}")).await);
    }
    for suite in Suite::ALL {
        // Five with the group and three more, three to a commit.
        let first: Vec<_> = others[..5].iter().collect();
        let made = alice.create_group(group_of(suite, &first), patient()).await.unwrap();
        let group = made.value.group.id;
        assert_eq!((made.value.group.epoch, made.value.group.members.len()), (2, 6));
        let more = others[5..].iter().map(Session::identity).collect();
        let invited = alice.invite(group.clone(), more, patient()).await.unwrap();
        assert_eq!((invited.value.group.epoch, invited.value.group.members.len()), (3, 9));
        for bot in &others {
            let here = |event: &EventData| matches!(event, EventData::InvitationReceived(invitation) if invitation.id == group);
            until(bot, here).await;
            bot.accept(group.clone()).await.unwrap();
        }
        alice.send(group.clone(), text("all of you"), patient()).await.unwrap();
        for bot in &others {
            heard(bot, "all of you").await;
            assert_eq!(members(bot, &group).await.len(), 9);
        }
        let log = all(&alice).await;
        let joined = log.iter().filter(|event| {
            event.group.as_ref() == Some(&group)
                && matches!(event.data, EventData::GroupJoined { .. })
        });
        assert_eq!(joined.count(), 1);
    }
    client.shutdown().await;
    other.shutdown().await;
}
