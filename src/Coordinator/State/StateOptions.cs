namespace Lamina.Coordinator.State;

/// <summary>Where a coordinator's database lies and which secret its key hashes are made with.</summary>
/// <param name="Folder">Holds <c>state.db</c> and <c>state.key</c> unless the others say differently.</param>
/// <param name="Database">Connection string of a PostgreSQL database; null = SQLite in the folder.</param>
/// <param name="SecretPath">File of the server secret; null = <c>state.key</c> in the folder, made at first use.</param>
public sealed record StateOptions(string Folder, string? Database = null, string? SecretPath = null)
{
    public string SqlitePath => Path.Combine(Folder, "state.db");

    public string SecretFile => SecretPath ?? Path.Combine(Folder, "state.key");

    /// <summary>What messages call the database; never its password.</summary>
    public string Description => Database is null ? SqlitePath : "the PostgreSQL database of Coordinator:Database";

    public static StateOptions Of(CoordinatorOptions options) => new(Path.GetFullPath(options.StorePath), options.Database, options.SecretPath);
}
