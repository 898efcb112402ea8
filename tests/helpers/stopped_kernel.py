"""A training cell in a real Jupyter kernel, stopped by the interrupt of the stop button: run by test_training.

A process of its own, since jupyter_client leaves sockets and event loops to the garbage collector.
"""

import threading
from pathlib import Path

from jupyter_client.manager import start_new_kernel

LOOP = "print('begun', flush=True)\nfor step, log in train(gan, batches, until={}, progress=False): pass"

manager, client = start_new_kernel(kernel_name="python3", cwd=str(Path(__file__).parent))
printed = []


def execute(code, stop_after=None):
    """Run a cell and return its reply; press stop that many seconds after it says that it has begun."""

    def watch(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])
            if stop_after is not None and "begun" in printed[-1]:
                threading.Timer(stop_after, manager.interrupt_kernel).start()

    return client.execute_interactive(code, timeout=60, output_hook=watch)["content"]


try:
    assert execute("from small_gans import small, train\ngan, batches = small()")["status"] == "ok"
    for wait in (0.2, 0.31, 0.05):
        assert execute(LOOP.format(10**9), stop_after=wait)["ename"] == "KeyboardInterrupt"
    printed.clear()
    players = "{int(s['step']) for opt in (gan.opt_G, gan.opt_D) for s in opt.state.values()}"
    assert execute(f"print({players} == {{gan.steps_done}}, gan.steps_done > 3)")["status"] == "ok"
    assert execute(LOOP.format("gan.steps_done + 10"))["status"] == "ok"
    assert printed[0] == "True True\n", printed
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
