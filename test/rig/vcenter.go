// A vCenter for tests: VMware's own simulator, on loopback with TLS, and VMware's own client to look at it.
//
//	vcenter serve CERT KEY RECEIVED   serves; prints its URL; appends what is sent as files' bytes to RECEIVED
//	vcenter read URL CERT DIRECTORY   writes DIRECTORY/ITEM/FILE and DIRECTORY/ITEM.json of the library "images"
//	vcenter empty URL CERT            removes all of its items
//
// Simulator and client are those of govmomi 0.24.2. What vCenter's interface promises and this simulator lacks is put in
// front of it, from the published description of the interface: only two users get in, and one of them may only look;
// a file that is not as long, or has not the SHA-256, as was announced fails its update, which cannot be completed then; what is
// sent is no file of the item before the update is completed; two items of a library never have one name.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/ioutil"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/library"
	"github.com/vmware/govmomi/vapi/rest"
	_ "github.com/vmware/govmomi/vapi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
)

const (
	writer = "images@vsphere.local"
	reader = "reader@vsphere.local"
	secret = "a password for tests"
	shelf  = "images"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A file that was announced.
type announced struct {
	session string
	size    int64
	sha256  string
}

type vcenter struct {
	sync.Mutex
	inner    http.Handler
	received *os.File
	// Sessions of the user who may only look.
	looking map[string]bool
	// Uploads by the end of their address.
	uploads map[string]announced
	failed  map[string]bool
	// Items by their update, while it is not completed.
	open map[string]string
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]interface{}{
		"type":  "com.vmware.vapi.std.errors." + kind,
		"value": map[string]interface{}{"messages": []map[string]interface{}{{"id": "test", "default_message": message, "args": []string{}}}},
	})
}

// Asks the simulator on behalf of a request.
func (v *vcenter) ask(r *http.Request, method, path string, body interface{}, value interface{}) int {
	data, err := json.Marshal(body)
	check(err)
	asked := httptest.NewRequest(method, path, bytes.NewReader(data))
	asked.Header.Set("vmware-api-session-id", r.Header.Get("vmware-api-session-id"))
	answer := httptest.NewRecorder()
	v.inner.ServeHTTP(answer, asked)
	if value != nil && answer.Code == http.StatusOK {
		check(json.Unmarshal(answer.Body.Bytes(), &struct {
			Value interface{} `json:"value"`
		}{value}))
	}
	return answer.Code
}

type counted struct {
	io.ReadCloser
	hash hash.Hash
	size int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.hash.Write(p[:n])
	c.size += int64(n)
	return n, err
}

func (v *vcenter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const items = "/rest/com/vmware/content/library/item"
	path, action := r.URL.Path, r.URL.Query().Get("~action")
	id := path[strings.LastIndex(path, "id:")+3:]
	token := r.Header.Get("vmware-api-session-id")
	if strings.HasSuffix(path, "/cis/session") && r.Method == http.MethodPost && action == "" {
		user, password, _ := r.BasicAuth()
		if password != secret || user != writer && user != reader {
			refuse(w, http.StatusUnauthorized, "unauthenticated", "Authentication required.")
			return
		}
		answer := httptest.NewRecorder()
		v.inner.ServeHTTP(answer, r)
		var begun struct {
			Value string `json:"value"`
		}
		check(json.Unmarshal(answer.Body.Bytes(), &begun))
		v.Lock()
		v.looking[begun.Value] = user == reader
		v.Unlock()
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		return
	}
	v.Lock()
	looking := v.looking[token]
	v.Unlock()
	if looking && r.Method != http.MethodGet && action != "find" && !strings.HasSuffix(path, "/cis/session") && !strings.Contains(path, "download") {
		refuse(w, http.StatusForbidden, "unauthorized", "Permission to perform this operation was denied.")
		return
	}
	switch {
	case r.Method == http.MethodPut && strings.Contains(path, "/cis/data/"):
		parts := strings.Split(path, "/")
		v.Lock()
		told, known := v.uploads[parts[len(parts)-2]]
		v.Unlock()
		body := &counted{ReadCloser: r.Body, hash: sha256.New()}
		r.Body = body
		v.inner.ServeHTTP(w, r)
		v.Lock()
		defer v.Unlock()
		fmt.Fprintf(v.received, "%d\n", body.size)
		sum := hex.EncodeToString(body.hash.Sum(nil))
		if known && (told.size != body.size || told.sha256 != "" && told.sha256 != sum) {
			v.failed[told.session] = true
			v.ask(r, http.MethodPost, items+"/update-session/id:"+told.session+"?~action=fail", struct{}{}, nil)
		}
	case r.Method == http.MethodPost && action == "add" && strings.Contains(path, "/updatesession/file/"):
		data, err := ioutil.ReadAll(r.Body)
		if err != nil {
			return
		}
		var spec struct {
			File library.UpdateFile `json:"file_spec"`
		}
		check(json.Unmarshal(data, &spec))
		r.Body = ioutil.NopCloser(bytes.NewReader(data))
		answer := httptest.NewRecorder()
		v.inner.ServeHTTP(answer, r)
		var made struct {
			Value library.UpdateFile `json:"value"`
		}
		if answer.Code == http.StatusOK && json.Unmarshal(answer.Body.Bytes(), &made) == nil && made.Value.UploadEndpoint != nil {
			parts := strings.Split(made.Value.UploadEndpoint.URI, "/")
			sum := ""
			if c := spec.File.Checksum; c != nil && c.Algorithm == "SHA256" {
				sum = strings.ToLower(c.Checksum)
			}
			v.Lock()
			v.uploads[parts[len(parts)-2]] = announced{id, spec.File.Size, sum}
			v.Unlock()
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	case r.Method == http.MethodPost && path == items+"/update-session":
		data, err := ioutil.ReadAll(r.Body)
		if err != nil {
			return
		}
		var spec struct {
			Session library.Session `json:"create_spec"`
		}
		check(json.Unmarshal(data, &spec))
		r.Body = ioutil.NopCloser(bytes.NewReader(data))
		answer := httptest.NewRecorder()
		v.inner.ServeHTTP(answer, r)
		var made struct {
			Value string `json:"value"`
		}
		_ = json.Unmarshal(answer.Body.Bytes(), &made)
		v.Lock()
		v.open[made.Value] = spec.Session.LibraryItemID
		v.Unlock()
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	case action == "complete":
		v.Lock()
		failed := v.failed[id]
		if !failed {
			delete(v.open, id)
		}
		v.Unlock()
		if failed {
			refuse(w, http.StatusBadRequest, "not_allowed_in_current_state", "The update session is not active.")
			return
		}
		v.inner.ServeHTTP(w, r)
	case r.Method == http.MethodGet && path == items+"/file":
		v.Lock()
		hidden := false
		for _, item := range v.open {
			hidden = hidden || item == r.URL.Query().Get("library_item_id")
		}
		v.Unlock()
		if hidden {
			_, _ = w.Write([]byte(`{"value":[]}`))
			return
		}
		v.inner.ServeHTTP(w, r)
	case r.Method == http.MethodPatch && strings.HasPrefix(path, items+"/id:"):
		data, err := ioutil.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = ioutil.NopCloser(bytes.NewReader(data))
		var spec struct {
			Item library.Item `json:"update_spec"`
		}
		check(json.Unmarshal(data, &spec))
		var item library.Item
		var others []string
		if v.ask(r, http.MethodGet, path, nil, &item) == http.StatusOK && spec.Item.Name != "" && spec.Item.Name != item.Name {
			v.ask(r, http.MethodPost, items+"?~action=find", map[string]interface{}{"spec": library.FindItem{LibraryID: item.LibraryID, Name: spec.Item.Name}}, &others)
		}
		if len(others) > 0 {
			refuse(w, http.StatusBadRequest, "already_exists", "An item of this name exists in the library.")
			return
		}
		v.inner.ServeHTTP(w, r)
	default:
		v.inner.ServeHTTP(w, r)
	}
}

func serve(cert, key, received string) {
	ctx := context.Background()
	model := simulator.VPX()
	check(model.Create())
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(err)
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	model.Service.RegisterEndpoints = true
	model.Service.Listen = &url.URL{User: url.UserPassword(writer, secret)}
	server := model.Service.NewServer()
	count, err := os.OpenFile(received, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0600)
	check(err)
	server.Config.Handler = &vcenter{inner: server.Config.Handler, received: count, looking: map[string]bool{}, uploads: map[string]announced{}, failed: map[string]bool{}, open: map[string]string{}}

	client, manager := connect(ctx, server.URL, cert)
	finder := find.NewFinder(client)
	center, err := finder.DefaultDatacenter(ctx)
	check(err)
	store, err := finder.SetDatacenter(center).DefaultDatastore(ctx)
	check(err)
	_, err = manager.CreateLibrary(ctx, library.Library{Name: shelf, Type: "LOCAL", Storage: []library.StorageBackings{{DatastoreID: store.Reference().Value, Type: "DATASTORE"}}})
	check(err)
	where := *server.URL
	where.Path, where.User = "", nil
	fmt.Println(where.String())
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM, syscall.SIGINT)
	<-ending
	server.Close()
	model.Remove()
}

// VMware's own client, logged in.
func connect(ctx context.Context, where *url.URL, cert string) (*vim25.Client, *library.Manager) {
	address := *where
	address.Path, address.User = "/sdk", nil
	transport := soap.NewClient(&address, false)
	check(transport.SetRootCAs(cert))
	plain, err := vim25.NewClient(ctx, transport)
	check(err)
	check(session.NewManager(plain).Login(ctx, url.UserPassword(writer, secret)))
	api := rest.NewClient(plain)
	check(api.Login(ctx, url.UserPassword(writer, secret)))
	return plain, library.NewManager(api)
}

func look(where, cert string, each func(context.Context, *library.Manager, library.Item)) {
	ctx := context.Background()
	address, err := url.Parse(where)
	check(err)
	_, manager := connect(ctx, address, cert)
	found, err := manager.GetLibraryByName(ctx, shelf)
	check(err)
	items, err := manager.GetLibraryItems(ctx, found.ID)
	check(err)
	for _, item := range items {
		each(ctx, manager, item)
	}
}

func read(where, cert, directory string) {
	look(where, cert, func(ctx context.Context, manager *library.Manager, item library.Item) {
		files, err := manager.ListLibraryItemFiles(ctx, item.ID)
		check(err)
		check(os.MkdirAll(filepath.Join(directory, item.Name), 0700))
		download, err := manager.CreateLibraryItemDownloadSession(ctx, library.Session{LibraryItemID: item.ID})
		check(err)
		for _, file := range files {
			ready, err := manager.PrepareLibraryItemDownloadSessionFile(ctx, download, file.Name)
			check(err)
			source, err := url.Parse(ready.DownloadEndpoint.URI)
			check(err)
			stream, _, err := manager.Download(ctx, source, &soap.DefaultDownload)
			check(err)
			target, err := os.Create(filepath.Join(directory, item.Name, filepath.Base(file.Name)))
			check(err)
			_, err = io.Copy(target, stream)
			check(err)
			check(target.Close())
		}
		data, err := json.Marshal(item)
		check(err)
		check(ioutil.WriteFile(filepath.Join(directory, item.Name+".json"), data, 0600))
	})
}

func main() {
	switch arguments := os.Args[1:]; arguments[0] {
	case "serve":
		serve(arguments[1], arguments[2], arguments[3])
	case "read":
		read(arguments[1], arguments[2], arguments[3])
	case "empty":
		look(arguments[1], arguments[2], func(ctx context.Context, manager *library.Manager, item library.Item) {
			check(manager.DeleteLibraryItem(ctx, &item))
		})
	}
}
