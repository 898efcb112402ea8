import json
import subprocess
import sys

import pytest

from ganlib import tables

NAMES = ["01_claims", "02_claims", "03_claims", "03_toys", "04_claims", "04_quality"]
NAMES += ["05_tuning", "05_vaes", "06_claims", "06_few", "06_labels"]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_loaded_by_its_name(name):
    assert tables.load(name) == json.loads((tables.FOLDER / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", ["quality", "04_quality.json", "../tables/04_quality", "", None])
def test_an_unknown_name_is_refused_with_the_list(name):
    with pytest.raises(ValueError, match=f"name must be one of {', '.join(map(repr, NAMES))}, got"):
        tables.load(name)


def test_a_table_is_found_from_any_folder_and_in_any_encoding(tmp_path):
    program = r"from ganlib import tables; print('\u2212' in str(tables.load('02_claims')))"
    command = [sys.executable, "-X", "utf8=0", "-c", program]
    env = {"PYTHONIOENCODING": "utf-8", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8")
    assert run.stdout == "True\n", run.stderr
