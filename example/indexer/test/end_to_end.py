# Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
"""Runs the indexer as a user does: end_to_end.py PROGRAM [TEST…]

What is waited for is a line that the indexer writes. Nothing depends on how fast it is: where something must not happen
yet, the delay is an hour; where it must happen, there is none.
"""

import os
import pathlib
import queue
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

PROGRAM = ""
HUNG = 100  # seconds after which the indexer itself counts as hanging
HOUR = 3_600_000


class Indexer:
    """An indexer that runs, and the lines that it has written."""

    def __init__(self, directory, database, *arguments):
        self.process = subprocess.Popen([PROGRAM, "-v", *map(str, arguments), directory, database],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        self.errors = []
        self.readers = [threading.Thread(target=self.read_lines),
                        threading.Thread(target=self.read_errors)]
        for each in self.readers:
            each.start()

    def read_lines(self):
        for line in self.process.stdout:
            self.lines.put(os.fsdecode(line).rstrip("\n"))
        self.lines.put(None)

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(os.fsdecode(line).rstrip("\n"))

    def until(self, *wanted):
        """Waits for these lines, in any order. All that was written until then."""
        missing = set(map(str, wanted))
        seen = []
        while missing:
            line = self.lines.get(timeout=HUNG)
            if line is None:
                raise AssertionError(f"{missing} missing in {seen}, {self.errors}")
            seen.append(line)
            missing.discard(line)
        return seen

    def rest(self):
        """What was written since, when it has ended."""
        seen = []
        while (line := self.lines.get(timeout=HUNG)) is not None:
            seen.append(line)
        return seen

    def wait(self):
        status = self.process.wait(HUNG)
        for each in self.readers:
            each.join(HUNG)
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.wait()

    def abandon(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


class Case(unittest.TestCase):
    """A directory of its own, and a database outside of it."""

    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, self.place)
        self.root = self.place / "files"
        self.root.mkdir()
        self.database = self.place / "index.db"

    def write(self, name, text):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def start(self, *arguments, delay=0):
        started = Indexer(self.root, self.database, "--delay", delay, *arguments)
        self.addCleanup(started.abandon)
        return started

    def watch(self, *arguments, files=(), **settings):
        """One that watches, and has indexed these files, which were there before."""
        started = self.start(*arguments, **settings)
        started.until(f"watching {self.root}", *(f"indexed {each}" for each in files))
        return started

    def until_found(self, indexer, file, word):
        """Waits until a file, which may be indexed both when it comes and when it is closed, has a word."""
        while self.search(word) != [os.path.relpath(file, self.root)]:
            indexer.until(f"indexed {file}")

    def search(self, word):
        done = subprocess.run([PROGRAM, "--search", word, self.database], capture_output=True,
                              timeout=HUNG, check=False)
        self.assertEqual(done.stderr, b"")
        found = os.fsdecode(done.stdout).splitlines()
        self.assertEqual(done.returncode, 0 if found else 1)
        return [os.path.relpath(each, self.root) for each in found]

    def index_all(self):
        """Indexes what is there, and ends."""
        indexer = self.watch("--grace", HOUR)
        marker = self.write("marker", "marker")
        indexer.until(f"indexed {marker}")
        marker.unlink()
        indexer.until(f"removed {marker}")
        self.assertEqual(indexer.end(), 0, indexer.errors)
        return indexer


class Searching(Case):
    def test_what_was_there_is_found(self):
        files = [self.write("a.txt", "one two two"), self.write("sub/deep/b.txt", "Two, three.")]
        indexer = self.watch(files=files)
        self.assertEqual(self.search("two"), ["a.txt", "sub/deep/b.txt"])
        self.assertEqual(self.search("THREE"), ["sub/deep/b.txt"])
        self.assertEqual(self.search("four"), [])
        self.assertEqual((indexer.end(), indexer.errors), (0, []))

    def test_words_are_whole_also_across_blocks_and_beyond_ascii(self):
        file = self.write("a", "x" * 32765 + " straße_42 " + "y" * 65 + " " + "z" * 64)
        self.watch(files=[file])
        for word, is_there in (("straße", True), ("42", True), ("stra", False), ("y" * 65, False),
                               ("z" * 64, True), ("z" * 63, False)):
            self.assertEqual(self.search(word), ["a"] if is_there else [], word)

    def test_what_is_no_text_or_too_large_is_skipped(self):
        files = [self.write("binary", b"word \0 word"), self.write("large", "word " * 300),
                 self.write("small", "word " * 100)]
        self.watch("--max-size", 1000, files=files)
        self.assertEqual(self.search("word"), ["small"])

    def test_only_files_are_read(self):
        outside = self.place / "outside.txt"
        outside.write_text("secret")
        (self.root / "link").symlink_to(outside)
        (self.root / "up").symlink_to(self.place)
        os.mkfifo(self.root / "pipe")
        file = self.write("a", "word")
        indexer = self.watch(files=[file])
        os.rename(outside, self.root / "b")
        indexer.until(f"indexed {self.root / 'b'}")
        self.assertEqual(self.search("secret"), ["b"])
        self.assertEqual((indexer.end(), indexer.errors), (0, []))

    def test_a_name_may_be_anything(self):
        file = self.root / os.fsdecode(b"\xff%_'\" -")
        file.write_text("word")
        indexer = self.watch(files=[file])
        self.assertEqual(self.search("word"), [file.name])
        file.unlink()
        indexer.until(f"removed {file}")
        self.assertEqual(self.search("word"), [])


class Changes(Case):
    def test_a_file_is_followed(self):
        indexer = self.watch()
        file = self.write("a", "one")
        self.until_found(indexer, file, "one")
        file.write_text("two")
        self.until_found(indexer, file, "two")
        self.assertEqual(self.search("one"), [])
        moved = file.rename(self.root / "b")
        indexer.until(f"removed {file}", f"indexed {moved}")
        self.assertEqual(self.search("two"), ["b"])
        moved.unlink()
        indexer.until(f"removed {moved}")
        self.assertEqual(self.search("two"), [])

    def test_a_file_that_takes_the_place_of_another_is_seen(self):
        file = self.write("a", "one")
        indexer = self.watch(files=[file])
        self.write("a.new", "two").rename(file)
        self.until_found(indexer, file, "two")
        self.assertEqual(self.search("one"), [])

    def test_many_files_at_once(self):
        indexer = self.watch("--jobs", 2)
        files = [self.write(f"d{i % 7}/{i}", f"word w{i}") for i in range(200)]
        indexer.until(*(f"indexed {each}" for each in files))
        while len(self.search("word")) < 200:  # some were empty when they were read first
            indexer.lines.get(timeout=HUNG)
        self.assertEqual(self.search("w123"), ["d4/123"])

    def test_the_database_may_be_in_the_directory(self):
        self.database = self.root / "index.db"
        indexer = self.watch()
        file = self.write("a", "word")
        indexer.until(f"indexed {file}")
        self.assertEqual(indexer.end(), 0)
        self.assertEqual([each for each in indexer.rest() if "index.db" in each], [])


class Directories(Case):
    def test_a_new_one_is_watched(self):
        indexer = self.watch()
        file = self.write("sub/deep/a", "one")
        self.until_found(indexer, file, "one")
        file.write_text("two")
        self.until_found(indexer, file, "two")

    def test_one_that_is_moved_takes_its_files_along(self):
        file = self.write("old/deep/a", "one")
        indexer = self.watch(files=[file])
        (self.root / "old").rename(self.root / "new")
        moved = self.root / "new/deep/a"
        indexer.until(f"indexed {moved}", f"removed {self.root / 'old'}")
        self.assertEqual(self.search("one"), ["new/deep/a"])
        moved.write_text("two")
        self.until_found(indexer, moved, "two")

    def test_one_that_leaves_is_not_watched_any_more(self):
        file = self.write("sub/a", "one")
        indexer = self.watch(files=[file])
        outside = (self.root / "sub").rename(self.place / "outside")
        indexer.until(f"removed {self.root / 'sub'}")
        self.assertEqual(self.search("one"), [])
        (outside / "b").write_text("two")
        back = outside.rename(self.root / "back")
        indexer.until(f"indexed {back / 'b'}", f"indexed {back / 'a'}")
        self.assertEqual(self.search("two"), ["back/b"])

    def test_one_that_is_deleted_goes_with_all_that_was_in_it(self):
        files = [self.write(f"sub/{i}/{k}", "word") for i in range(3) for k in range(3)]
        indexer = self.watch(files=files)
        shutil.rmtree(self.root / "sub")
        self.write("last", "word")
        while self.search("word") != ["last"]:
            indexer.lines.get(timeout=HUNG)

    def test_a_file_may_take_the_place_of_a_directory(self):
        file = self.write("x/a", "one")
        indexer = self.watch(files=[file])
        shutil.rmtree(self.root / "x")
        plain = self.write("x", "two")
        self.until_found(indexer, plain, "two")
        self.assertEqual(self.search("one"), [])

    def test_the_end_of_the_whole_directory_is_the_end(self):
        indexer = self.watch()
        self.root.rmdir()
        self.assertEqual(indexer.wait(), 1)
        self.assertEqual(indexer.errors, [f"indexer: {self.root} is gone"])


class Debouncing(Case):
    def bring(self, name):
        """Moves a directory with a file into the watched one, which does not wait. The file."""
        prepared = self.place / name
        prepared.mkdir()
        (prepared / "file").write_text("moved")
        return prepared.rename(self.root / name) / "file"

    def test_a_file_that_is_written_often_is_indexed_once_it_is_left_alone(self):
        indexer = self.watch(delay=1000)
        for i in range(1000):
            file = self.write("a", f"w{i}")
        other = self.write("b", "other")
        seen = indexer.until(f"indexed {other}", f"indexed {file}")
        while self.search("w999") != ["a"]:  # if writing took long, it has been indexed in between
            seen += indexer.until(f"indexed {file}")
        self.assertEqual(self.search("w998"), [])
        self.assertLess(seen.count(f"indexed {file}"), 100)
        self.assertEqual(indexer.end(), 0, indexer.errors)

    def test_a_file_that_waits_is_not_indexed(self):
        indexer = self.watch(delay=HOUR)
        self.write("a", "word")
        indexer.until(f"indexed {self.bring('sub')}")
        self.assertEqual(self.search("word"), [])

    def test_a_file_that_goes_before_its_time_is_forgotten(self):
        indexer = self.watch(delay=HOUR)
        self.write("a", "word").unlink()
        indexer.until(f"indexed {self.bring('sub')}")
        self.assertEqual((indexer.end(), indexer.errors), (0, []))

    def test_writing_while_a_file_is_read_loses_nothing(self):
        indexer = self.watch("--max-size", 10_000_000)
        file = self.write("a", "word " * 1_000_000)
        for i in range(20):
            file.write_text("word " * 100_000 + f" w{i}")
        self.until_found(indexer, file, "w19")
        with sqlite3.connect(self.database) as index:
            self.assertEqual(index.execute("SELECT count FROM words WHERE word = 'word'").fetchall(),
                             [(100_000,)])
        index.close()


class Endings(Case):
    def test_what_has_not_been_indexed_is_named(self):
        for how in (signal.SIGINT, signal.SIGTERM):
            indexer = self.watch(delay=HOUR)
            waiting = [self.write("a", "word"), self.write("b", "word")]
            prepared = self.place / "prepared"
            prepared.mkdir()
            (prepared / "c").write_text("word")
            sub = prepared.rename(self.root / "sub")  # a new directory does not wait
            indexer.until(f"indexed {sub / 'c'}")
            self.assertEqual(indexer.end(how), 1)
            self.assertEqual(sorted(indexer.errors),
                             [f"indexer: not indexed: {each}" for each in waiting])
            for each in (*waiting, sub / "c"):
                each.unlink()
            sub.rmdir()

    def test_what_is_missing_is_made_up_for_at_the_next_start(self):
        changed, gone, same = (self.write(name, name) for name in ("changed", "gone", "same"))
        os.utime(same, (1, 1))
        self.index_all()
        changed.write_text("other")
        gone.unlink()
        new = self.write("new", "new")
        indexer = self.watch()
        seen = indexer.until(f"indexed {changed}", f"removed {gone}", f"indexed {new}")
        self.assertEqual(indexer.end(), 0)
        self.assertNotIn(f"indexed {same}", seen + indexer.rest())
        self.assertEqual([self.search(each) for each in ("changed", "other", "gone", "same", "new")],
                         [[], ["changed"], [], ["same"], ["new"]])

    def test_an_end_without_warning_leaves_a_whole_index(self):
        files = [self.write(str(i), " ".join(f"w{k}" for k in range(2000))) for i in range(30)]
        indexer = self.start()
        indexer.until(f"watching {self.root}")
        indexer.lines.get(timeout=HUNG)
        indexer.end(signal.SIGKILL)
        with sqlite3.connect(self.database) as index:
            counts = index.execute("SELECT count(*) FROM words GROUP BY file").fetchall()
            self.assertEqual(set(counts) - {(2000,)}, set())
        index.close()
        again = self.start()
        again.until(f"watching {self.root}")
        while len(self.search("w1999")) < len(files):
            again.lines.get(timeout=HUNG)
        self.assertEqual(again.end(), 0)

    def test_an_end_in_the_midst_of_work_comes_at_once_and_names_the_rest(self):
        files = {str(self.write(str(i), " ".join(f"w{k}" for k in range(500)))) for i in range(300)}
        indexer = self.start("--jobs", 1, "--grace", 0)
        seen = indexer.until(f"watching {self.root}")
        status = indexer.end()
        indexed = {each[8:] for each in seen + indexer.rest() if each.startswith("indexed ")}
        named = {each.removeprefix("indexer: not indexed: ") for each in indexer.errors}
        self.assertEqual((status, indexed | named, indexed & named), (1 if named else 0, files, set()))
        self.assertEqual(len(self.search("w499")), len(indexed))


class Overflow(Case):
    def test_lost_events_lead_to_another_look_at_everything(self):
        with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as setting:
            room = int(setting.read())
        if room > 100_000:
            self.skipTest("too many events would be needed")
        gone, kept = self.write("sub/gone", "gone"), self.write("sub/kept", "kept")
        noise = [self.write("noise1", ""), self.write("noise2", "")]
        indexer = self.watch(files=(gone, kept, *noise))
        indexer.process.send_signal(signal.SIGSTOP)
        for _ in range(room // 2 + 1):
            for each in noise:  # the same twice in a row would be one event
                with open(each, "ab"):
                    pass
        gone.unlink()
        new = self.write("sub/deep/new", "new")
        indexer.process.send_signal(signal.SIGCONT)
        indexer.until(f"indexed {new}", f"removed {gone}")
        new.write_text("newer")
        self.until_found(indexer, new, "newer")
        self.assertEqual((self.search("gone"), self.search("kept")), ([], ["sub/kept"]))
        self.assertEqual(indexer.end(), 0)
        self.assertIn("indexer: too much happened at once, looking at everything again", indexer.errors)


class CommandLine(Case):
    def run_program(self, *arguments):
        return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, timeout=HUNG,
                              check=False)

    def test_wrong_use_is_told_apart(self):
        no_database = self.write("text", "this is no database, however long it may be " * 100)
        for arguments in ((), (self.root,), ("--jobs", "0", self.root, self.database), ("/", self.database),
                          ("--no-such-option", self.root, self.database), ("--search", "word"),
                          (no_database, self.database), (self.place / "none", self.database),
                          (self.root, self.place / "none" / "index.db"), (self.root, no_database),
                          ("--search", "word", self.place / "none"), ("--search", "word", no_database)):
            done = self.run_program(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, b""), arguments)
            self.assertRegex(done.stderr.decode(), "^indexer: ", arguments)

    def test_help_is_no_error(self):
        done = self.run_program("--help")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"--search", done.stdout)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
