// A conversation through the client that openapi-generator generates.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	gateway "example.org/gateway"
)

// What a bot knows of its own messages.
type ownEvent struct {
	Data struct {
		Type    string
		Content struct{ Celsius int }
	}
}

func client(token string) *gateway.APIClient {
	configuration := gateway.NewConfiguration()
	configuration.Servers = gateway.ServerConfigurations{{URL: os.Getenv("QPQ_URL")}}
	configuration.AddDefaultHeader("Authorization", "Bearer "+os.Getenv(token))
	return gateway.NewAPIClient(configuration)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func assert(condition bool, what string) {
	if !condition {
		panic(what)
	}
}

func text(body string) gateway.MessageRequest {
	request := gateway.NewTextMessageRequest(*gateway.NewTextContent(body), "text")
	return gateway.TextMessageRequestAsMessageRequest(request)
}

// A type of a bot's own has no value that the lookup could know: the answer has its text.
func report() gateway.MessageRequest {
	request := gateway.NewOwnMessageRequest("org.example.report")
	request.SetContent(map[string]any{"celsius": 21})
	return gateway.OwnMessageRequestAsMessageRequest(request)
}

func invited(bob *gateway.APIClient, group string) bool {
	list, _, err := bob.InvitationsAPI.ListInvitations(context.Background()).Execute()
	check(err)
	for _, invitation := range list.Items {
		if invitation.GroupId == group {
			return true
		}
	}
	return false
}

func main() {
	ctx := context.Background()
	alice, bob := client("QPQ_ALICE"), client("QPQ_BOB")
	request := gateway.NewGroupRequest()
	request.SetName("go")
	request.SetMembers([]string{os.Getenv("QPQ_BOB_IDENTITY")})
	group, _, err := alice.GroupsAPI.CreateGroup(ctx).GroupRequest(*request).Execute()
	check(err)

	deadline := time.Now().Add(time.Minute)
	for !invited(bob, group.GroupId) {
		assert(time.Now().Before(deadline), "no invitation")
		time.Sleep(50 * time.Millisecond)
	}
	_, _, err = bob.InvitationsAPI.AcceptInvitation(ctx, group.GroupId).Execute()
	check(err)

	tail, _, err := bob.EventsAPI.ListEvents(ctx).Timeout(0).Execute()
	check(err)
	var ids []string
	for range [2]int{} {
		send := alice.MessagesAPI.SendMessage(ctx, group.GroupId).MessageRequest(text("hello"))
		message, _, err := send.IdempotencyKey("go-1").Execute()
		check(err)
		ids = append(ids, message.TextMessage.MessageId)
	}
	assert(ids[0] == ids[1], "one key, one message")

	cursor, heard := tail.GetNext(), []gateway.Event{}
	for len(heard) == 0 {
		assert(time.Now().Before(deadline), "no message")
		poll := bob.EventsAPI.ListEvents(ctx).After(cursor).Timeout(10000)
		page, _, err := poll.Types("message.received").Execute()
		check(err)
		cursor, heard = page.GetNext(), page.Items
	}
	assert(len(heard) == 1, "one event")
	received := heard[0].MessageReceivedEvent
	assert(received != nil && received.Data.TextMessage != nil, "a text")
	assert(received.Data.TextMessage.Content.Body == "hello", "the text that was sent")

	_, _, err = alice.MessagesAPI.SendMessage(ctx, group.GroupId).MessageRequest(report()).Execute()
	check(err)
	var own []ownEvent
	for len(own) == 0 {
		assert(time.Now().Before(deadline), "no report")
		poll := bob.EventsAPI.ListEvents(ctx).After(cursor).Timeout(10000)
		page, answer, err := poll.Types("message.received").Execute()
		check(err)
		cursor = page.GetNext()
		var text struct{ Items []ownEvent }
		check(json.NewDecoder(answer.Body).Decode(&text))
		own = text.Items
	}
	assert(own[0].Data.Type == "org.example.report", "a type of its own")
	assert(own[0].Data.Content.Celsius == 21, "the content of its own")

	nowhere := alice.MessagesAPI.SendMessage(ctx, strings.Repeat("0", 64))
	_, answer, err := nowhere.MessageRequest(text("nobody")).Execute()
	var refused *gateway.GenericOpenAPIError
	assert(errors.As(err, &refused) && answer.StatusCode == 404, "refused")
	problem, ok := refused.Model().(gateway.Problem)
	assert(ok && strings.HasSuffix(problem.Type, "group-not-found"), "a typed problem")
	assert(!problem.Retryable, "not to be repeated")
	fmt.Println("conversation held")
}
