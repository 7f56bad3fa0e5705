package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// The gateway pings every 25 s.
const silence = time.Minute

// Larger than any frame: a message holds 1 MiB of content.
const largestFrame = 8 << 20

// Gateway is the API as one bot sees it.
type Gateway struct {
	URL, Token string
	http       http.Client
}

// Refused is an answer that repeating the request does not mend.
type Refused struct {
	Status    int    `json:"status"`
	Type      string `json:"type"`
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	Retryable bool   `json:"retryable"`
}

func (r *Refused) Error() string {
	kind := strings.TrimPrefix(r.Type, "urn:quicproquo:problem:")
	return strings.TrimSpace(fmt.Sprintf("%d %s: %s %s", r.Status, kind, r.Title, r.Detail))
}

// Event is something that happened, as far as this bot reads it.
type Event struct {
	Type    string `json:"type"`
	Cursor  string `json:"cursor"`
	GroupID string `json:"group_id"`
	Data    struct {
		InvitationID string          `json:"invitation_id"`
		MessageID    string          `json:"message_id"`
		Type         string          `json:"type"`
		Content      json.RawMessage `json:"content"`
		Sender       struct {
			Identity string `json:"identity"`
		} `json:"sender"`
	} `json:"data"`
}

// Call asks until the gateway has answered for good. The same key does the work once.
func (g *Gateway) Call(ctx context.Context, method, path, key string, body, answer any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for pause := newPause(); ; {
		err := g.attempt(ctx, method, path, key, content, answer)
		if refused, ok := err.(*Refused); err == nil || ok && !refused.Retryable {
			return err
		}
		log.Printf("trying again: %v", err)
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

func (g *Gateway) attempt(
	ctx context.Context, method, path, key string, content []byte, answer any,
) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, g.URL+path, bytes.NewReader(content))
	if err != nil {
		return &Refused{Title: err.Error()}
	}
	request.Header = g.header()
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := g.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		return refusal(response)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

func (g *Gateway) header() http.Header {
	return http.Header{"Authorization": {"Bearer " + g.Token}}
}

// refusal reads the problem in an answer; a proxy's pages are none, and pass.
func refusal(response *http.Response) *Refused {
	refused := &Refused{Status: response.StatusCode, Retryable: response.StatusCode >= 502}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if json.Unmarshal(text, refused) != nil || refused.Title == "" {
		refused.Title = "this is no gateway, or something is in front of it"
	}
	return refused
}

// Stream is an open event stream.
type Stream struct {
	socket *websocket.Conn
	stop   func()
}

// Delivery is an event that wants to be acknowledged.
type Delivery struct {
	ID    string `json:"delivery_id"`
	Event Event  `json:"event"`
}

// Open connects as a consumer, whose place in the log the gateway keeps.
func (g *Gateway) Open(ctx context.Context, consumer, types string) (*Stream, error) {
	query := url.Values{"consumer": {consumer}, "types": {types}}
	address := strings.Replace(g.URL, "http", "ws", 1) + "/v1/events/ws?" + query.Encode()
	dialer := websocket.Dialer{HandshakeTimeout: 20 * time.Second}
	socket, response, err := dialer.DialContext(ctx, address, g.header())
	if err == websocket.ErrBadHandshake {
		if refused := refusal(response); !refused.Retryable {
			return nil, refused
		}
	}
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(largestFrame)
	// Reading ends when the bot is told to.
	ctx, stop := context.WithCancel(ctx)
	go func() {
		<-ctx.Done()
		socket.Close()
	}()
	heard := func() { socket.SetReadDeadline(time.Now().Add(silence)) }
	heard()
	pong := socket.PingHandler()
	socket.SetPingHandler(func(data string) error {
		heard()
		return pong(data)
	})
	return &Stream{socket, stop}, nil
}

// Next waits for the next event.
func (s *Stream) Next() (Delivery, error) {
	for {
		var frame struct {
			Type string `json:"type"`
			Delivery
			Problem *Refused `json:"problem"`
		}
		err := s.socket.ReadJSON(&frame)
		if closed, ok := err.(*websocket.CloseError); ok && closed.Code >= 4400 {
			return frame.Delivery, &Refused{Status: closed.Code, Title: closed.Text}
		}
		if err != nil || frame.Type == "event" {
			return frame.Delivery, err
		}
		if frame.Type == "error" && frame.Problem != nil {
			log.Printf("the gateway says: %v", frame.Problem)
		}
	}
}

// Ack says that a delivery is handled; what was not comes again.
func (s *Stream) Ack(id string) error {
	return s.socket.WriteJSON(map[string]any{"type": "ack", "ids": []string{id}})
}

// Close ends the stream.
func (s *Stream) Close() { s.stop() }

// A pause grows, and is different for every bot.
type pause struct{ next time.Duration }

func newPause() *pause { return &pause{100 * time.Millisecond} }

func (p *pause) wait(ctx context.Context) error {
	now := p.next/2 + time.Duration(rand.Int63n(int64(p.next/2)))
	if p.next *= 2; p.next > 5*time.Second {
		p.next = 5 * time.Second
	}
	select {
	case <-time.After(now):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
