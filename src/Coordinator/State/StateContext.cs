using Lamina.Coordinator.Quotas;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.State;

/// <summary>The tables as objects. Their columns are made by <see cref="Schema"/>; times are milliseconds since 1970 UTC.</summary>
public sealed class StateContext(DbContextOptions<StateContext> options) : DbContext(options)
{
    public DbSet<FactRow> Facts => Set<FactRow>();

    public DbSet<TenantRow> Tenants => Set<TenantRow>();

    public DbSet<KeyRow> Keys => Set<KeyRow>();

    public DbSet<QuotaRow> Quotas => Set<QuotaRow>();

    public DbSet<UsageRow> Usage => Set<UsageRow>();

    public DbSet<UsageDayRow> UsageDays => Set<UsageDayRow>();

    public DbSet<SuspensionRow> Suspensions => Set<SuspensionRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        FactRow.Map(modelBuilder.Entity<FactRow>());
        TenantRow.Map(modelBuilder.Entity<TenantRow>());
        KeyRow.Map(modelBuilder.Entity<KeyRow>());
        QuotaRow.Map(modelBuilder.Entity<QuotaRow>());
        UsageRow.Map(modelBuilder.Entity<UsageRow>());
        UsageDayRow.Map(modelBuilder.Entity<UsageDayRow>());
        SuspensionRow.Map(modelBuilder.Entity<SuspensionRow>());
    }
}
