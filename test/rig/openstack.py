"""A cloud's identity and image services on loopback, of Debian's packages: Keystone, and Glance behind it, on SQLite.

serve DIRECTORY KEYSTONE-PORT GLANCE-PORT: prints a line when both answer. read DIRECTORY INTO: what a client that is not
ours (python-glanceclient) sees and gets, one file an image, names as JSON. Both take DIRECTORY/*.conf and login.json.
"""
import base64, json, os, subprocess, sys, threading, time, urllib.request


def configure(d, keystone, glance):
    for name in ("fernet", "credential", "images", "lock", "staging", "tasks"):
        os.makedirs(f"{d}/{name}", exist_ok=True)
    for name in ("fernet", "credential"):
        for key in ("0", "1"):
            with open(f"{d}/{name}/{key}", "wb") as file:
                file.write(base64.urlsafe_b64encode(os.urandom(32)))
            os.chmod(f"{d}/{name}/{key}", 0o600)
    write(f"{d}/keystone.conf", f"""[DEFAULT]
log_file = {d}/keystone.log
[database]
connection = sqlite:///{d}/keystone.db
[fernet_tokens]
key_repository = {d}/fernet
[fernet_receipts]
key_repository = {d}/fernet
[credential]
key_repository = {d}/credential
[identity]
password_hash_rounds = 4
""")
    write(f"{d}/paste.ini", """[pipeline:glance-api]
pipeline = versionnegotiation unauthenticated-context rootapp
[pipeline:glance-api-keystone]
pipeline = versionnegotiation authtoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:unauthenticated-context]
paste.filter_factory = glance.api.middleware.context:UnauthenticatedContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
""")
    write(f"{d}/glance.conf", f"""[DEFAULT]
bind_host = 127.0.0.1
bind_port = {glance}
workers = 0
log_file = {d}/glance.log
enabled_backends = file:file
enforce_secure_rbac = true
image_size_cap = {64 * 1024 * 1024}
node_staging_uri = file://{d}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {d}/tasks
[os_glance_staging_store]
filesystem_store_datadir = {d}/staging
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {d}/images
[database]
connection = sqlite:///{d}/glance.db
[oslo_concurrency]
lock_path = {d}/lock
[oslo_policy]
enforce_new_defaults = true
enforce_scope = true
[paste_deploy]
flavor = keystone
config_file = {d}/paste.ini
[keystone_authtoken]
www_authenticate_uri = http://127.0.0.1:{keystone}/v3
auth_url = http://127.0.0.1:{keystone}/v3
auth_type = password
interface = public
username = admin
password = admin-secret
project_name = admin
user_domain_id = default
project_domain_id = default
""")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def start(module, *args):
    code = f"import sys; from {module} import main; sys.argv[0] = '{module}'; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, *args], stdout=sys.stderr)


def done(process):
    if process.wait() != 0:
        sys.exit(f"{process.args} ended with {process.returncode}")


def serve(d, keystone, glance):
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    started = []
    threading.Thread(target=end_with_parent, args=(started,), daemon=True).start()
    configure(d, keystone, glance)
    config = ("--config-file", f"{d}/keystone.conf")
    images = start("glance.cmd.manage", "--config-file", f"{d}/glance.conf", "db_sync")
    done(start("keystone.cmd.manage", *config, "db_sync"))
    done(start("keystone.cmd.manage", *config, "bootstrap", "--bootstrap-password", "admin-secret",
               "--bootstrap-region-id", "one", "--bootstrap-public-url", f"http://127.0.0.1:{keystone}/v3"))
    done(images)
    started.append(start("glance.cmd.api", "--config-file", f"{d}/glance.conf"))
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = f"{d}/keystone.conf"
    sys.argv[1:] = []
    from keystone.server.wsgi import initialize_public_application

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    # One request at a time: connections to SQLite of threads that ended keep it locked.
    server = make_server("127.0.0.1", int(keystone), initialize_public_application(), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{glance}/").close()
        except urllib.error.HTTPError as answer:
            if answer.code == 300:
                break
        except OSError:
            pass
        time.sleep(0.1)
    print("ready", flush=True)
    threading.Event().wait()


def end_with_parent(started):
    # Glance leaves its parent's group.
    sys.stdin.read()
    for process in started:
        process.kill()
    os._exit(0)


def read(d, into):
    import glanceclient
    from keystoneauth1 import session
    from keystoneauth1.identity import v3

    with open(f"{d}/login.json") as file:
        login = json.load(file)
    auth = v3.ApplicationCredential(login["auth_url"], application_credential_id=login["id"], application_credential_secret=login["secret"])
    client = glanceclient.Client("2", session=session.Session(auth=auth), region_name="one")
    seen = []
    for image in client.images.list():
        row = {key: value for key, value in image.items() if isinstance(value, (str, int, bool)) or value is None}
        row["file"] = None
        if image["status"] == "active":
            row["file"] = os.path.join(into, image["id"])
            with open(row["file"], "wb") as file:
                for chunk in client.images.data(image["id"]):
                    file.write(chunk)
        seen.append(row)
    print(json.dumps(seen))


if __name__ == "__main__":
    {"serve": serve, "read": read}[sys.argv[1]](*sys.argv[2:])
