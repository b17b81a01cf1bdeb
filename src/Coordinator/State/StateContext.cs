using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.State;

/// <summary>The tables as objects. Their columns are made by <see cref="Schema"/>; times are milliseconds since 1970 UTC.</summary>
public sealed class StateContext(DbContextOptions<StateContext> options) : DbContext(options)
{
    public DbSet<FactRow> Facts => Set<FactRow>();

    public DbSet<TenantRow> Tenants => Set<TenantRow>();

    public DbSet<KeyRow> Keys => Set<KeyRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        FactRow.Map(modelBuilder.Entity<FactRow>());
        TenantRow.Map(modelBuilder.Entity<TenantRow>());
        KeyRow.Map(modelBuilder.Entity<KeyRow>());
    }
}
