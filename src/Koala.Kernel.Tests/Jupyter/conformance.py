"""Runs Jupyter's own conformance suite on the installed kernel."""
import unittest

import jupyter_kernel_test


class KoalaKernelTests(jupyter_kernel_test.KernelTests):
    kernel_name = "koala-csharp"
    language_name = "C#"
    file_extension = ".cs"
    code_hello_world = 'Console.WriteLine("hello, world");'
    code_stderr = 'Console.Error.WriteLine("oops");'
    completion_samples = [
        {"text": "Console.WriteL", "matches": ["WriteLine"]},
        {"text": "#!mark", "matches": ["markdown"]},
    ]
    complete_code_samples = ["1 + 1", "int F() { return 1; }", "Console.WriteLine();"]
    incomplete_code_samples = ["int F() {", "if (true) {", "Console.WriteLine("]
    invalid_code_samples = ["int x = ;", "class { }"]
    code_generate_error = 'throw new Exception("no");'
    code_execute_result = [{"code": "6 * 7", "result": "42"}]
    code_display_data = [{"code": 'HTML("<b>x</b>").Display();', "mime": "text/html"}]
    code_history_pattern = "6 ? 7"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "Console.WriteLine"
    code_clear_output = "Microsoft.DotNet.Interactive.KernelInvocationContext.Current.ClearOutput();"


if __name__ == "__main__":
    unittest.main(verbosity=2)
