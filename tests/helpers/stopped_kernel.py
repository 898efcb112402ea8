"""A training cell in a real Jupyter kernel, stopped by the interrupt of the stop button: run by test_training.

A process of its own, since jupyter_client leaves sockets and event loops to the garbage collector.
"""

from pathlib import Path

from jupyter_client.manager import start_new_kernel

LOOP = "for step, log in train(gan, batches, until={}, progress=False):\n    if step % 7 == 0: print(step, flush=True)"

manager, client = start_new_kernel(kernel_name="python3", cwd=str(Path(__file__).parent))
printed = []


def execute(code, stop=False):
    """Run a cell and return its reply; press stop once it has printed something."""

    def watch(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])
            if stop and len(printed) == 1:
                manager.interrupt_kernel()

    printed.clear()
    return client.execute_interactive(code, output_hook=watch)["content"]


try:
    assert execute("from small_gans import small, train\ngan, batches = small()")["status"] == "ok"
    for _ in range(3):
        assert execute(LOOP.format(10**9), stop=True)["ename"] == "KeyboardInterrupt"
    players = "{int(s['step']) for opt in (gan.opt_G, gan.opt_D) for s in opt.state.values()}"
    assert execute(f"print({players} == {{gan.steps_done}}, gan.steps_done >= 21)")["status"] == "ok"
    assert printed == ["True True\n"], printed
    assert execute(LOOP.format("gan.steps_done + 10"))["status"] == "ok"
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
