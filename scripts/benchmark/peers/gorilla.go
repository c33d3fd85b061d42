// gorilla/websocket on Go's net/http, on all processors: an echo, and a chat with one room.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

func echo(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer socket.Close()
	for {
		kind, message, err := socket.ReadMessage()
		if err != nil {
			return
		}
		if socket.WriteMessage(kind, message) != nil {
			return
		}
	}
}

type event struct {
	Type string `json:"type"`
	From string `json:"from"`
	Text string `json:"text"`
	At   string `json:"at"`
	Seq  uint64 `json:"seq"`
}

// The chat room: the channels of its members, and the number of the last message.
var room = struct {
	sync.Mutex
	members map[chan *websocket.PreparedMessage]bool
	seq     uint64
}{members: map[chan *websocket.PreparedMessage]bool{}}

func broadcast(text string) {
	room.Lock()
	defer room.Unlock()
	room.seq++
	bytes, _ := json.Marshal(event{"message", "m0", text, "noon", room.seq})
	message, _ := websocket.NewPreparedMessage(websocket.TextMessage, bytes)
	for member := range room.members {
		select {
		case member <- message:
		default: // too slow
			delete(room.members, member)
			close(member)
		}
	}
}

func chat(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	outbox := make(chan *websocket.PreparedMessage, 256)
	room.Lock()
	room.members[outbox] = true
	room.Unlock()
	go func() {
		defer socket.Close()
		for message := range outbox {
			if socket.WritePreparedMessage(message) != nil {
				return
			}
		}
	}()
	for {
		_, message, err := socket.ReadMessage()
		if err != nil {
			break
		}
		broadcast(string(message))
	}
	room.Lock()
	defer room.Unlock()
	if room.members[outbox] {
		delete(room.members, outbox)
		close(outbox)
	}
}

func main() {
	http.HandleFunc("/chat", chat)
	http.HandleFunc("/", echo)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
