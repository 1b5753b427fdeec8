// Command stock is a server that asks the Node server over its public address, with
// TLS verified.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/stock", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "stock") })
	http.HandleFunc("/stock/api", askAPI)
	fmt.Println("stock listens")
	fmt.Println(http.ListenAndServe(os.Getenv("HOST")+":"+os.Getenv("PORT"), nil))
	os.Exit(1)
}

func askAPI(w http.ResponseWriter, _ *http.Request) {
	address := os.Getenv("DEVPROXY_API_URL")
	response, err := http.Get(address + "/api")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintf(w, "stock got %s from %s", text, address)
}
