//! Runs a real proxy as a child process, with a small configuration that a test completes. The samples of
//! `scripts/proxies` are run by `proxy`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::client::wait_until;
use super::port::own_address;
use super::program::tool;

/// A process that serves at an address; killed when dropped.
pub struct Serving {
    child: Child,
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Serving {
    pub fn new(child: Child, address: SocketAddr, folder: TempDir) -> Serving {
        Serving { child, address, _folder: folder }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Product {
    name: &'static str,
    /// Its arguments before the path of the configuration.
    arguments: &'static [&'static str],
    /// LISTEN is its own address, BACKEND that of the server, SETTING the place of the test's settings, and
    /// FOLDER a folder of its own.
    configuration: &'static str,
}

const PRODUCTS: [Product; 5] = [
    Product {
        name: "nginx",
        arguments: &["-e", "stderr", "-c"],
        configuration: "daemon off; master_process off; error_log stderr; pid FOLDER/pid; events {}
            http { access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b;
            fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
            server { listen LISTEN; location / { proxy_pass http://BACKEND; SETTING } } }",
    },
    Product {
        name: "apache2",
        arguments: &["-X", "-f"],
        configuration: "ServerRoot FOLDER\nServerName localhost\nListen LISTEN\nPidFile FOLDER/pid
            ErrorLog FOLDER/log\nDefaultRuntimeDir FOLDER\nMutex file:FOLDER default
            LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
            LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
            LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
            LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
            ProxyPass \"/\" \"http://BACKEND/\" SETTING\nProxyPreserveHost On\n",
    },
    Product {
        name: "caddy",
        arguments: &["run", "--adapter", "caddyfile", "--config"],
        configuration: "{\n admin off\n}
            http://LISTEN {\n reverse_proxy BACKEND {\n SETTING\n }\n}\n",
    },
    Product {
        name: "lighttpd",
        arguments: &["-D", "-f"],
        configuration:
            "server.document-root = \"FOLDER\"\nserver.bind = \"HOST\"\nserver.port = PORT
            server.modules = (\"mod_proxy\")\nSETTING
            proxy.server = (\"\" => ((\"host\" => \"127.0.0.1\", \"port\" => BACKPORT)))\n",
    },
    Product {
        name: "haproxy",
        arguments: &["-db", "-f"],
        configuration:
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s
            listen one\n bind LISTEN\n SETTING\n server s BACKEND\n",
    },
];

/// Starts a proxy before the server at `backend`, with these settings where it forwards to that server.
pub fn start(name: &str, backend: SocketAddr, settings: &str) -> Serving {
    PRODUCTS.iter().find(|product| product.name == name).unwrap().start(backend, settings)
}

impl Product {
    fn start(&self, backend: SocketAddr, settings: &str) -> Serving {
        let folder = tempfile::tempdir().unwrap();
        let address = own_address();
        let file = folder.path().join("configuration");
        let text = self.configuration.replace("SETTING", settings);
        let text = text.replace("BACKPORT", &backend.port().to_string());
        let text = text.replace("BACKEND", &backend.to_string());
        let text = text.replace("FOLDER", folder.path().to_str().unwrap());
        let text = text.replace("LISTEN", &address.to_string());
        let text = text.replace("HOST", &address.ip().to_string());
        fs::write(&file, text.replace("PORT", &address.port().to_string())).unwrap();
        let mut command = Command::new(tool(self.name));
        command.args(self.arguments).arg(&file).stdin(Stdio::null()).current_dir(folder.path());
        command.env("XDG_CONFIG_HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
        command
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr")).unwrap());
        let mut child = command.spawn().unwrap();
        wait_until("it listens", || {
            TcpStream::connect(address).is_ok() || child.try_wait().unwrap().is_some()
        });
        let log = fs::read_to_string(folder.path().join("stderr")).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "{}: {log}", self.name);
        Serving::new(child, address, folder)
    }
}
