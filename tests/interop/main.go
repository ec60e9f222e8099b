// Reads an audit log that headrig published with Go's own implementation of notes and tiled logs, and checks
// everything against everything: signature, tiles against the signed root, bundles against leaf hashes, and for
// many indexes and sizes that Go's proofs are those in the files beside the log.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run checks the log in dir with the key in vkeyFile and the proofs <index>.tlog-proof and <old>.consistency in proofs.
func run(dir, vkeyFile, proofs string) error {
	tree, err := openCheckpoint(filepath.Join(dir, "checkpoint"), vkeyFile)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, tiles(dir))
	for index := int64(0); index < tree.N; index++ {
		if err := checkEntry(dir, tree, reader, index); err != nil {
			return fmt.Errorf("index %d: %w", index, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(proofs, "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := checkProof(file, tree, reader); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
	}
	fmt.Printf("%d entries and %d proofs hold\n", tree.N, len(files))
	return nil
}

func openCheckpoint(file, vkeyFile string) (tlog.Tree, error) {
	vkey, err := os.ReadFile(vkeyFile)
	if err != nil {
		return tlog.Tree{}, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return tlog.Tree{}, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("the origin is not the key's name")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("the root is no hash")
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

// tiles reads C2SP paths: those of Go without the height.
type tiles string

func (tiles) Height() int { return height }

func (dir tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for at, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(dir), path))
		if err != nil {
			return nil, err
		}
		found[at] = data
	}
	return found, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func checkEntry(dir string, tree tlog.Tree, reader tlog.HashReader, index int64) error {
	bundle := tlog.Tile{H: height, L: 0, N: index >> height, W: int(min(1<<height, tree.N-index>>height<<height))}
	path := strings.Replace(bundle.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return err
	}
	for range index % (1 << height) {
		data = data[2+binary.BigEndian.Uint16(data):]
	}
	entry := data[2 : 2+binary.BigEndian.Uint16(data)]
	proof, err := tlog.ProveRecord(tree.N, index, reader)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

func checkProof(file string, tree tlog.Tree, reader tlog.HashReader) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	number, kind, _ := strings.Cut(filepath.Base(file), ".")
	place, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(string(data), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	var proof []tlog.Hash
	if kind == "tlog-proof" {
		proof, err = tlog.ProveRecord(tree.N, place, reader)
		lines = lines[2:]
	} else {
		proof, err = tlog.ProveTree(tree.N, place, reader)
	}
	if err != nil {
		return err
	}
	if len(proof) == 0 && strings.Join(lines, "") == "" {
		return nil
	}
	if len(proof) != len(lines) {
		return fmt.Errorf("%d hashes, not %d", len(lines), len(proof))
	}
	for at, hash := range proof {
		if hash.String() != lines[at] {
			return fmt.Errorf("hash %d differs", at)
		}
	}
	return nil
}
