using System.Diagnostics;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Small programs of the system, run to their end.</summary>
internal static class Tools
{
    public static (int Code, string Output, string Error) Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}
