"""Ways to break a file of the workspace. Each returns a function of the workspace's folder."""

import json
import os
import shutil
import struct

import workspace


def write(name, contents):
    def act(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return act


def edit(name, change):
    """`change` maps the old bytes to the new ones, which must differ."""
    def act(folder):
        old = (folder / name).read_bytes()
        new = change(old)
        assert new != old, f"{name}: nothing was changed"
        (folder / name).write_bytes(new)
    return act


def replace(name, old, new):
    old, new = (text if isinstance(text, bytes) else text.encode() for text in (old, new))
    return edit(name, lambda content: content.replace(old, new, 1))


def append(name, text):
    return edit(name, lambda content: content + text.encode())


def line(name, number, text):
    """Line `number` (from 1) of a file becomes `text`, a string, bytes or something that is written as JSON."""
    if not isinstance(text, (str, bytes)):
        text = json.dumps(text)

    def change(content):
        lines = content.split(b"\n")
        lines[number - 1] = text if isinstance(text, bytes) else text.encode()
        return b"\n".join(lines)
    return edit(name, change)


def truncate(name, keep):
    """Keeps that many bytes; a fraction: of the whole; negative: all but so many."""
    return edit(name, lambda content: content[:int(keep * len(content)) if isinstance(keep, float) else keep])


def flip(name, place, find=None):
    """One bit of the byte at `place`, counted from the first occurrence of `find` or from the start of the file."""
    def change(content):
        start = content.index(find) if find else 0
        at = start + (int(place * len(content)) if isinstance(place, float) else place)
        return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1:]
    return edit(name, change)


def remove(*names):
    def act(folder):
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return act


def keys(name, **changes):
    """Keys of a JSON file; `a__b` is b inside a, None as a value removes the key."""
    def change(content):
        document = json.loads(content)
        for key, value in changes.items():
            *path, last = key.split("__")
            target = document
            for part in path:
                target = target[part]
            if value is None:
                del target[last]
            else:
                target[last] = value
        return json.dumps(document).encode()
    return edit(name, change)


def tensor(name, tensor_name, **changes):
    """dtype, shape or data_offsets in a safetensors header; `rename` the tensor; `value` of its first element."""
    def act(folder):
        header, data = workspace.read_header(folder / name)
        entry = header[tensor_name]
        if "rename" in changes:
            header = {changes["rename"] if key == tensor_name else key: item for key, item in header.items()}
        elif "value" in changes:
            first = entry["data_offsets"][0]
            data = data[:first] + struct.pack("<f", changes["value"]) + data[first + 4:]
        else:
            entry.update(changes)
        workspace.write_header(folder / name, header, data)
    return act


def metadata(name, **texts):
    """What a safetensors header says besides its tensors."""
    def act(folder):
        header, data = workspace.read_header(folder / name)
        workspace.write_header(folder / name, {"__metadata__": texts, **header}, data)
    return act


def shapes(name, change):
    """A safetensors file written again with other tensors: `change` edits the dict of shapes."""
    def act(folder):
        header, _ = workspace.read_header(folder / name)
        listed = {key: entry["shape"] for key, entry in header.items()}
        change(listed)
        workspace.write_safetensors(folder / name, listed)
    return act


def make_directory(name):
    return lambda folder: (folder / name).mkdir(parents=True)


def make_fifo(name):
    return lambda folder: os.mkfifo(folder / name)


def all_of(*actions):
    def act(folder):
        for action in actions:
            action(folder)
    return act


def nothing(_folder):
    """What is typed is wrong, not a file."""
