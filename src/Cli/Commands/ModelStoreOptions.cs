using System.CommandLine;
using Lamina.Coordinator;
using Lamina.Coordinator.Models;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary>Which store a <c>lamina model</c> command works on: a folder, or that of a cell in a coordinator's configuration.</summary>
internal sealed class ModelStoreOptions
{
    private readonly Option<string?> _store = new("--store") { Description = "Folder of the store (a coordinator's StorePath).", Recursive = true };
    private readonly Option<string?> _tenant = new("--tenant") { Description = "Tenant whose models they are; the only one of the configuration, or local.", Recursive = true };
    private readonly Option<string?> _config = new("--config") { Description = "Configuration file with a section Coordinator, instead of --store; its cell's Import section holds.", Recursive = true };
    private readonly Option<string[]> _keys = new("--signing-key") { Description = "Public key (PEM) whose signature makes a model trusted; repeat for several. With --store, or a file.", Recursive = true };

    public void AddTo(Command command)
    {
        command.Options.Add(_store);
        command.Options.Add(_tenant);
        command.Options.Add(_config);
        command.Options.Add(_keys);
    }

    /// <summary>Public keys that the command line names.</summary>
    public IReadOnlyList<string> Keys(ParseResult parsed) => parsed.GetValue(_keys) ?? [];

    public ModelStore Open(ParseResult parsed, ILogger logger, out ModelImportOptions import)
    {
        string? store = parsed.GetValue(_store);
        string tenant = parsed.GetValue(_tenant) ?? "local";
        import = new ModelImportOptions { SigningKeys = parsed.GetValue(_keys) ?? [] };
        if (store is null)
        {
            CoordinatorOptions options = Configuration.Read<CoordinatorOptions>(parsed.GetValue(_config), "Coordinator");
            CellOptions cell = parsed.GetValue(_tenant) is { } named
                ? options.Cells.FirstOrDefault(cell => cell.Tenant.Value == named) ?? throw new CommandException($"the configuration has no cell of tenant {named}")
                : options.Cells is [CellOptions only] ? only : throw new UsageException("the configuration has several cells: say which by --tenant");
            (store, tenant, import) = (options.StorePath, cell.Tenant.Value, cell.Import);
        }
        else if (parsed.GetValue(_config) is not null)
        {
            throw new UsageException("give the store either by --store or by --config, not both");
        }

        return Cluster.Messages.Names.IsValid(tenant)
            ? ModelStore.Open(Path.Combine(store, tenant), import, tenant, note => logger.LogInformation("{Note}", note))
            : throw new UsageException($"--tenant is '{tenant}', expected 1 to 63 lower-case letters, digits and inner hyphens");
    }
}
