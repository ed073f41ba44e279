"""Serves a store badly. usage: sick_store.py DIRECTORY PORT trickle|cut PATTERN; what does not match the pattern is served well."""
import fnmatch
import http.server
import os
import sys
import time

directory, port, sickness, pattern = sys.argv[1:]


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            content = open(os.path.join(directory, self.path.lstrip("/")), "rb").read()
        except OSError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not fnmatch.fnmatch(self.path, pattern):
            self.wfile.write(content)
        elif sickness == "cut":
            self.wfile.write(content[: len(content) // 2])
        else:
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(1)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Store).serve_forever()
