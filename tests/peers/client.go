// Usage: client URL. Echoes over permessage-deflate with gorilla/websocket, and prints the
// negotiated extensions.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/gorilla/websocket"
)

func main() {
	dialer := websocket.Dialer{EnableCompression: true}
	client, response, err := dialer.Dial(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	client.EnableWriteCompression(true)
	random := make([]byte, 70_000)
	if _, err := rand.Read(random); err != nil {
		log.Fatal(err)
	}
	messages := []struct {
		kind    int
		payload []byte
	}{
		{websocket.TextMessage, []byte("")},
		{websocket.TextMessage, []byte("hello")},
		{websocket.TextMessage, []byte(strings.Repeat("héllo ", 20_000))},
		{websocket.BinaryMessage, make([]byte, 300_000)},
		{websocket.BinaryMessage, random},
	}
	for _, sent := range messages {
		if err := client.WriteMessage(sent.kind, sent.payload); err != nil {
			log.Fatal(err)
		}
		kind, payload, err := client.ReadMessage()
		if err != nil {
			log.Fatal(err)
		}
		if kind != sent.kind || !bytes.Equal(payload, sent.payload) {
			log.Fatalf("an echo of %d bytes was altered", len(sent.payload))
		}
	}
	closing := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := client.WriteMessage(websocket.CloseMessage, closing); err != nil {
		log.Fatal(err)
	}
	if _, _, err := client.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		log.Fatal(err)
	}
	fmt.Println(response.Header.Get("Sec-WebSocket-Extensions"))
}
