// An echo bot: repeats every text, once, whatever is restarted meanwhile.
//
//	QPQ_TOKEN  the bot's token
//	QPQ_URL    the gateway, default http://127.0.0.1:8080
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const consumer = "echo-go"

func main() {
	log.SetFlags(0)
	url := os.Getenv("QPQ_URL")
	if url == "" {
		url = "http://127.0.0.1:8080"
	}
	token := os.Getenv("QPQ_TOKEN")
	if token == "" {
		log.Fatal("set QPQ_TOKEN to the bot's token")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	gateway := &Gateway{URL: strings.TrimRight(url, "/"), Token: token}
	err := run(ctx, gateway)
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

// run listens until it is told to stop, or cannot go on.
func run(ctx context.Context, gateway *Gateway) error {
	pause := newPause()
	for {
		started := time.Now()
		err := listen(ctx, gateway)
		var refused *Refused
		if errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		if time.Since(started) > 30*time.Second {
			pause = newPause()
		}
		log.Printf("connecting again: %v", err)
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// listen handles events until the connection ends.
func listen(ctx context.Context, gateway *Gateway) error {
	stream, err := gateway.Open(ctx, consumer, "message.received,invitation.received")
	if err != nil {
		return err
	}
	defer stream.Close()
	// The consumer has begun; what it was invited to before is still in the list.
	if err := acceptAll(ctx, gateway); err != nil {
		return err
	}
	log.Print("listening")
	for {
		delivery, err := stream.Next()
		if err != nil {
			return err
		}
		// A refusal concerns this event alone, such as a group that the bot has left meanwhile.
		var refused *Refused
		if err := handle(ctx, gateway, delivery.Event); errors.As(err, &refused) {
			log.Printf("%s has no answer: %v", delivery.Event.Cursor, err)
		} else if err != nil {
			return err
		}
		if err := stream.Ack(delivery.ID); err != nil {
			return err
		}
	}
}

// answer says what the bot answers to a text, if anything: the part to change.
func answer(text string) (string, bool) {
	return text, true
}

// handle answers an event. When it comes again, the keys keep it from being answered twice.
func handle(ctx context.Context, gateway *Gateway, event Event) error {
	data := event.Data
	if event.Type == "invitation.received" {
		return accept(ctx, gateway, data.InvitationID)
	}
	if data.Type != "text" {
		return nil
	}
	var content struct {
		Body string `json:"body"`
	}
	if err := json.Unmarshal(data.Content, &content); err != nil {
		return err
	}
	said, ok := answer(content.Body)
	if !ok {
		return nil
	}
	content.Body = said
	reply := map[string]any{"type": "text", "content": content, "reply_to": data.MessageID}
	key := fmt.Sprintf("echo-%s-%s-%s", event.GroupID, data.Sender.Identity, data.MessageID)
	return gateway.Call(ctx, "POST", "/v1/groups/"+event.GroupID+"/messages", key, reply, nil)
}

func acceptAll(ctx context.Context, gateway *Gateway) error {
	var list struct {
		Items []struct {
			InvitationID string `json:"invitation_id"`
		} `json:"items"`
	}
	if err := gateway.Call(ctx, "GET", "/v1/invitations", "", nil, &list); err != nil {
		return err
	}
	for _, invitation := range list.Items {
		if err := accept(ctx, gateway, invitation.InvitationID); err != nil {
			return err
		}
	}
	return nil
}

func accept(ctx context.Context, gateway *Gateway, id string) error {
	path := "/v1/invitations/" + id + "/accept"
	err := gateway.Call(ctx, "POST", path, "accept-"+id, struct{}{}, nil)
	var refused *Refused
	if errors.As(err, &refused) && refused.Status == 404 {
		return nil // answered already
	}
	return err
}
