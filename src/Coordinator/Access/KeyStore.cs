using Lamina.Cluster.Messages;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Access;

/// <summary>A key that was just made: the only moment in which its text is known to anybody but its owner.</summary>
public sealed record NewKey(ApiKey Key, string Text);

/// <summary>Makes, lists, rotates and revokes keys in the database; coordinators notice by themselves.</summary>
/// <remarks>Refusals are <see cref="AccessChangeException"/>; a database that is away is <see cref="StateUnavailableException"/>.</remarks>
public sealed class KeyStore(StateDatabase state, TimeProvider time)
{
    public const int MaxNameLength = 64;
    public const int MaxKeysPerTenant = 1000;

    /// <param name="tenant">Null makes an operator's key, whose only scope is <see cref="KeyScopes.Admin"/>.</param>
    /// <param name="lifetime">Null = until it is revoked.</param>
    public Task<NewKey> CreateAsync(TenantId? tenant, string name, KeyScopes scopes, TimeSpan? lifetime, CancellationToken cancellation)
    {
        RequireName(name);
        if (tenant is null && scopes != KeyScopes.Admin)
        {
            throw new AccessChangeException("an operator's key belongs to no tenant, so its only scope is admin");
        }

        return ChangeAsync(
            async context =>
            {
                string? owner = tenant?.Value;
                if (owner is not null && !await context.Tenants.AnyAsync(row => row.Id == owner, cancellation))
                {
                    throw new AccessChangeException($"there is no tenant {owner}") { IsNotFound = true };
                }

                if (await context.Keys.CountAsync(row => row.Tenant == owner && row.Revoked == null, cancellation) >= MaxKeysPerTenant)
                {
                    throw new AccessChangeException($"there are already {MaxKeysPerTenant} keys; revoke some first");
                }

                string id = ApiKeyText.NewId();
                string text = ApiKeyText.Create(id);
                var row = new KeyRow
                {
                    Id = id,
                    Tenant = owner,
                    Name = name,
                    Scopes = KeyScopeNames.Format(scopes),
                    Hash = ApiKeyText.Hash(state.Secret, text),
                    Created = Now,
                    Expires = lifetime is { } length ? Now + (long)length.TotalMilliseconds : null,
                };
                context.Keys.Add(row);
                return new NewKey(ApiKey.Of(row), text);
            },
            cancellation);
    }

    /// <param name="tenant">Null lists all, operators' included.</param>
    public Task<IReadOnlyList<ApiKey>> ListAsync(TenantId? tenant, CancellationToken cancellation)
    {
        string? owner = tenant?.Value;
        return state.RunAsync<IReadOnlyList<ApiKey>>(
            async context =>
            {
                KeyRow[] rows = await context.Keys.AsNoTracking().Where(row => owner == null || row.Tenant == owner).OrderBy(row => row.Tenant).ThenBy(row => row.Created).ToArrayAsync(cancellation);
                return [.. rows.Select(ApiKey.Of)];
            },
            cancellation);
    }

    /// <summary>Gives a key a new text under the same id; the old text is accepted for the overlap. An older text that is still accepted ends at once.</summary>
    /// <param name="within">The only tenant whose keys the caller may change; null = all.</param>
    public Task<NewKey> RotateAsync(string id, TimeSpan overlap, TenantId? within, CancellationToken cancellation) => ChangeAsync(
        async context =>
        {
            KeyRow row = await RequireAsync(context, id, within, cancellation);
            if (row.Revoked is not null)
            {
                throw new AccessChangeException($"the key {id} is revoked");
            }

            string text = ApiKeyText.Create(id);
            row.OldHash = overlap > TimeSpan.Zero ? row.Hash : null;
            row.OldHashUntil = overlap > TimeSpan.Zero ? Now + (long)overlap.TotalMilliseconds : null;
            row.Hash = ApiKeyText.Hash(state.Secret, text);
            return new NewKey(ApiKey.Of(row), text);
        },
        cancellation);

    /// <summary>Ends a key, and what runs on its behalf, for good.</summary>
    public Task<ApiKey> RevokeAsync(string id, TenantId? within, CancellationToken cancellation) => ChangeAsync(
        async context =>
        {
            KeyRow row = await RequireAsync(context, id, within, cancellation);
            row.Revoked ??= Now;
            return ApiKey.Of(row);
        },
        cancellation);

    private long Now => time.GetUtcNow().ToUnixTimeMilliseconds();

    private Task<T> ChangeAsync<T>(Func<StateContext, Task<T>> change, CancellationToken cancellation) => AccessChange.RunAsync(state, change, cancellation);

    private static async Task<KeyRow> RequireAsync(StateContext context, string id, TenantId? within, CancellationToken cancellation)
    {
        KeyRow? row = await context.Keys.SingleOrDefaultAsync(row => row.Id == id, cancellation);
        return row is not null && (within is not { } tenant || row.Tenant == tenant.Value) ? row : throw new AccessChangeException($"there is no key {id}") { IsNotFound = true };
    }

    private static void RequireName(string name)
    {
        if (name.Length is 0 or > MaxNameLength || name.Any(c => c is < ' ' or > '~'))
        {
            throw new AccessChangeException($"a key's name has 1 to {MaxNameLength} printable ASCII characters");
        }
    }
}
