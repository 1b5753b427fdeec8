package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
)

// scriptServer is the program `server [fail] [next]`: a server on $PORT whose responses
// are the values of the variables that the query names. With fail it prints a line and
// ends. With next it listens on the next port that is free.
func scriptServer() {
	port, _ := strconv.Atoi(os.Getenv("PORT"))
	if slices.Contains(os.Args, "fail") {
		fmt.Println("\x1b[31mcannot find\x1b[0m module \x1b]0;title\aexpress")
		os.Exit(3)
	}
	if slices.Contains(os.Args, "next") {
		port++
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	for ; err != nil && slices.Contains(os.Args, "next") && port < 65535; port++ {
		listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(os.Getenv("NAME"), "listens, and is process", os.Getpid())
	_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.URL.Query() {
			fmt.Fprintf(w, "%s=%s\n", name, os.Getenv(name))
		}
	}))
}
