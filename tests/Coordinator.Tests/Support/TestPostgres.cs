using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Lamina.Cli.Chaos;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>A PostgreSQL server of the machine's own installation, with a data folder of its own, for one test.</summary>
internal sealed class TestPostgres : IDisposable
{
    private readonly string _folder;
    private readonly Process _server;

    private TestPostgres(string folder, string user, Process server, int port)
    {
        _folder = folder;
        _server = server;
        ConnectionString = $"Host=127.0.0.1;Port={port};Username={user};Database=postgres;Timeout=5;Command Timeout=10;No Reset On Close=true";
    }

    public string ConnectionString { get; }

    /// <summary>Skips the test where there is no server to start.</summary>
    public static async Task<TestPostgres> StartAsync()
    {
        string? binaries = Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(folder => Path.Combine(folder, "bin")).LastOrDefault() : null;
        Assert.SkipUnless(binaries is not null && File.Exists(Path.Combine(binaries, "initdb")), "PostgreSQL is not installed here");

        // The server refuses to run as root.
        bool root = Environment.UserName == "root";
        string user = root ? "postgres" : Environment.UserName;
        string folder = Directory.CreateTempSubdirectory("lamina-postgres-").FullName, data = Path.Combine(folder, "data");
        if (root)
        {
            await RunAsync("chown", user, folder);
        }

        string[] As(params string[] command) => root ? ["runuser", "-u", user, "--", .. command] : command;
        await RunAsync(As(Path.Combine(binaries!, "initdb"), "-D", data, "-A", "trust", "-U", user, "--no-sync"));
        int port = FreePorts.Take();
        string[] serve = As(Path.Combine(binaries!, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", $"{port}", "-k", folder, "-F");
        var server = Process.Start(new ProcessStartInfo(serve[0], serve[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _ = server.StandardError.ReadToEndAsync();
        _ = server.StandardOutput.ReadToEndAsync();
        var postgres = new TestPostgres(folder, user, server, port);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while (true)
        {
            try
            {
                await using var connection = new Npgsql.NpgsqlConnection(postgres.ConnectionString);
                await connection.OpenAsync(deadline.Token);
                return postgres;
            }
            catch (Npgsql.NpgsqlException)
            {
                Assert.False(server.HasExited, "the server ended");
                await Task.Delay(100, deadline.Token);
            }
        }
    }

    /// <summary>Ends the server as a crash would.</summary>
    public void Kill()
    {
        Npgsql.NpgsqlConnection.ClearAllPools();
        if (!_server.HasExited)
        {
            _server.Kill(entireProcessTree: true);
            _server.WaitForExit();
        }
    }

    public void Dispose()
    {
        Kill();
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task RunAsync(params string[] command)
    {
        using Process process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{command[0]}: {await error}");
    }
}
