// uWebSockets: one event loop on one thread.

#include <cstdio>

#include "App.h"

struct Session {};

int main() {
    constexpr unsigned max_message = 2 * 1024 * 1024;
    uWS::App::WebSocketBehavior<Session> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = max_message;
    behavior.maxBackpressure = 4 * max_message;
    behavior.message = [](auto *session, std::string_view message, uWS::OpCode opcode) {
        session->send(message, opcode);
    };
    uWS::App()
        .ws<Session>("/*", std::move(behavior))
        .listen("127.0.0.1", 0, [](us_listen_socket_t *socket) {
            if (!socket) return;
            int port = us_socket_local_port(0, reinterpret_cast<us_socket_t *>(socket));
            std::printf("listening on http://127.0.0.1:%d/\n", port);
            std::fflush(stdout);
        })
        .run();
}
