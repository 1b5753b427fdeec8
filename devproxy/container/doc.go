// Package container reports the containers of a project: those that Docker, Podman or
// another engine with Docker's API runs for its folder.
//
// A [Watcher] lists them, follows the engine's events, and offers a [Snapshot] of all
// after each change. While the engine is away, it keeps trying.
//
// # Which containers belong to a project
//
// Labels come from strangers: the author of an image sets some, and a cloned repository
// sets those of its containers. A container belongs to a project if
//
//   - Compose made it, and Compose's working directory is the project's folder or is in
//     it. A folder in between that is a project of its own (it has a Proxyfile, is a linked
//     worktree, or is another repository in the project's) keeps its containers to itself.
//   - Compose did not make it, and its label devproxy.project is the project's folder,
//     as an absolute path. A working directory of Compose that only its image names is
//     a trick: a compose file of another project could use it to claim any folder.
//
// These labels, devproxy.host and devproxy.path do not count if the container's image
// has them with the same value: an image decides neither where its containers belong
// nor which hosts they serve. It may say which port its server uses: devproxy.port.
// A user who may talk to the engine can do everything on the machine, so nothing
// protects a project from that user.
//
// # Where a container is reached
//
// A published port comes first: it works with every engine, also in a virtual machine
// and without root. On Linux, a port that is not published is reached at the container's
// own address, if this machine owns the gateway of the container's network and root
// listens on the engine's socket. Without these conditions, the address of a container
// of a rootless engine, or of one in a virtual machine, could lead to another machine of
// the user's network, or to a container of another engine, which has the same networks.
//
// # Limits
//
// Nothing of an engine is read without a limit: 32 MiB for a list, 4 MiB for one
// container or image, 1 MiB for one event, 1 KiB for a label that counts. A container
// over its limit, or that the engine can't describe, is left out, with a [Problem]; a list
// over its limit fails. A request may take 5 seconds, and all those of a list 10. A list
// follows an event after 20 ms, and the next one comes at least 200 ms later. Without
// events there is one each minute. An engine that is away is tried again after at most 5
// seconds.
//
// Only engines on this machine count. With DOCKER_HOST=ssh://… or tcp://…, the
// containers' addresses are those of another machine, or at least of another network
// namespace; an engine on TCP without TLS could also be any user's program.
package container
