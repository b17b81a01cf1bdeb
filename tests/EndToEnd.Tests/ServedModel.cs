using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary><c>lamina serve --nodes 3</c> with the built-in model, shared by the tests of a class.</summary>
public sealed partial class ServedModel : IAsyncLifetime
{
    internal LaminaProcess Process { get; private set; } = null!;

    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromMinutes(3) };

    public static string ModelName => "lamina-tiny-q8_0";

    public async ValueTask InitializeAsync()
    {
        Process = LaminaProcess.Start("serve", Repository.File("models/lamina-tiny-q8_0.gguf"), "--nodes", "3", "--listen", "127.0.0.1:0");
        string line = await Process.WaitForLineAsync("API at", TimeSpan.FromSeconds(180));
        Http.BaseAddress = new Uri(Address().Match(line).Value);
    }

    public ValueTask DisposeAsync()
    {
        Http.Dispose();
        Process.Dispose();
        return ValueTask.CompletedTask;
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();
}
