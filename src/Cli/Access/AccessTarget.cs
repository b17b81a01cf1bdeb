using System.CommandLine;
using Lamina.Cli.Commands;
using Lamina.Coordinator;
using Lamina.Coordinator.State;

namespace Lamina.Cli.Access;

/// <summary>The options by which commands say whose tenants and keys they mean.</summary>
internal static class AccessTarget
{
    private const string KeyVariable = "LAMINA_ADMIN_KEY";
    private const int MaxKeyFileBytes = 4096;

    private static readonly Option<string?> s_config = new("--config") { Description = "Configuration file with a section Coordinator or Serve: works on its database; lamina.json when not given.", Recursive = true };
    private static readonly Option<string?> s_store = new("--store") { Description = "Folder that holds state.db: works on that database.", Recursive = true };
    private static readonly Option<string?> s_url = new("--url") { Description = $"Address of a coordinator's admin listener: asks it, with the key in {KeyVariable} or --key-file.", Recursive = true };
    private static readonly Option<string?> s_keyFile = new("--key-file") { Description = "File with the admin key for --url.", Recursive = true };
    private static readonly Option<string?> s_roots = new("--ca") { Description = "PEM file of roots that the certificate behind --url must end in; the machine's own when not given.", Recursive = true };

    public static void AddTo(Command command)
    {
        foreach (Option option in new Option[] { s_config, s_store, s_url, s_keyFile, s_roots })
        {
            command.Options.Add(option);
        }
    }

    public static async Task<IAccessAdmin> OpenAsync(ParseResult parsed, CancellationToken cancellation)
    {
        (string? config, string? store, string? url) = (parsed.GetValue(s_config), parsed.GetValue(s_store), parsed.GetValue(s_url));
        if (new[] { config, store, url }.Count(value => value is not null) > 1)
        {
            throw new UsageException("give one of --config, --store and --url");
        }

        if (url is not null)
        {
            return new AdminApiAccess(Address(url), await KeyAsync(parsed.GetValue(s_keyFile), cancellation), parsed.GetValue(s_roots));
        }

        StateOptions options = store is not null ? new StateOptions(Path.GetFullPath(store)) : Configured(config);
        return !Directory.Exists(options.Folder) && options.Database is null
            ? throw new CommandException($"there is no folder {options.Folder}, where the database would be")
            : new DatabaseAccess(await StateDatabase.OpenAsync(options, cancellation));
    }

    private static StateOptions Configured(string? config)
    {
        if (Configuration.Find<CoordinatorOptions>(config, "Coordinator") is { } coordinator)
        {
            return StateOptions.Of(coordinator);
        }

        ServeOptions serve = Configuration.Find<ServeOptions>(config, "Serve")
            ?? throw new CommandException("the configuration has no section Coordinator or Serve; name the database by --config FILE, --store FOLDER or --url URL");
        return serve.StorePath is { } store
            ? new StateOptions(Path.GetFullPath(store))
            : throw new CommandException("the section Serve has no StorePath, so its database ends with the process that made it");
    }

    /// <summary>Over plain HTTP a key may only go to this machine.</summary>
    private static Uri Address(string url)
    {
        if (!Uri.TryCreate(url.EndsWith('/') ? url : url + "/", UriKind.Absolute, out Uri? address) || (address.Scheme != Uri.UriSchemeHttps && address.Scheme != Uri.UriSchemeHttp))
        {
            throw new UsageException($"--url is '{url}'; it must be an http or https URL");
        }

        return address.Scheme == Uri.UriSchemeHttps || address.IsLoopback
            ? address
            : throw new UsageException($"--url is '{url}'; the key may go to another machine over https only");
    }

    private static async Task<string> KeyAsync(string? file, CancellationToken cancellation)
    {
        if (file is not null)
        {
            return new FileInfo(file) is { Exists: true, Length: <= MaxKeyFileBytes }
                ? (await File.ReadAllTextAsync(file, cancellation)).Trim()
                : throw new CommandException($"the key file {file} does not exist or is larger than {MaxKeyFileBytes} bytes");
        }

        return Environment.GetEnvironmentVariable(KeyVariable) is { Length: > 0 } key ? key.Trim()
            : throw new UsageException($"--url needs a key with the scope admin, in {KeyVariable} or --key-file");
    }
}
