// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tiers and clients: who learns of which, and how a tier is taken back.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "core.h"

/*
 * tier_lock protects tiers, clients_by_user, nr_claiming, and in each tier: node, clients,
 * quiesced. All callbacks of clients run under it. Taken under the device lock
 * of a namespace; a client may take disk->open_mutex and the like below it.
 */
static DEFINE_MUTEX(tier_lock);
static LIST_HEAD(tiers);
static struct pmem_tier_client *clients_by_user[PMEM_TIER_NR_USERS];
static unsigned int nr_claiming;

/* Somebody stopped using a tier: whoever waits for one looks again. */
static DECLARE_WAIT_QUEUE_HEAD(idle_wait);
static atomic_t idle_seq = ATOMIC_INIT(0);

/* How many wait for that. */
static atomic_t nr_waiting = ATOMIC_INIT(0);

/* How often a removal that has to wait says so. */
#define REMOVE_NAG	(10 * HZ)

/* How long unbind bears with somebody who only looks, such as udev after swapoff. */
#define QUIESCE_PATIENCE	HZ

/* How long until hwpoison entries are looked for again, and how many times what a look takes. */
#define HWPOISON_PERIOD		HZ
#define HWPOISON_RATIO		50

static bool has_client(struct tier_ns *ns, struct pmem_tier_client *client)
{
	return ns->clients & BIT(client->user);
}

static void add_client(struct tier_ns *ns, struct pmem_tier_client *client)
{
	int err;

	lockdep_assert_held(&tier_lock);
	err = client->add(&ns->tier);
	if (err) {
		pr_err("%s: %s can't use it: error %d\n", ns->tier.name,
		       client->name, err);
		return;
	}
	ns->clients |= BIT(client->user);
	if (client->give_back)
		rcu_assign_pointer(ns->soft, client);
}

/*
 * Are the processes gone that keep a tier, and so the module, by hwpoison entries? While there are
 * clients it makes no difference, they have the module, too; and pages that they lend may fail.
 */
static void look_for_hwpoison(struct tier_ns *ns)
{
	unsigned long begin = jiffies;
	int found;

	lockdep_assert_held(&tier_lock);
	if (ns->clients || !READ_ONCE(ns->hwpoison_left))
		return;
	/* Those that the page cache left. */
	if (!tier_pool_lent(ns)) {
		found = tier_hwpoison_find(ns);
		if (!found || found == -EOPNOTSUPP)
			return;
	}
	queue_delayed_work(system_unbound_wq, &ns->hwpoison_work,
			   HWPOISON_PERIOD + HWPOISON_RATIO * (jiffies - begin));
}

static void hwpoison_work(struct work_struct *work)
{
	struct tier_ns *ns = container_of(to_delayed_work(work), struct tier_ns,
					  hwpoison_work);

	mutex_lock(&tier_lock);
	look_for_hwpoison(ns);
	mutex_unlock(&tier_lock);
}

static void remove_client(struct tier_ns *ns, struct pmem_tier_client *client)
{
	lockdep_assert_held(&tier_lock);
	if (client->give_back) {
		rcu_assign_pointer(ns->soft, NULL);
		synchronize_rcu();
	}
	tier_long_pin_wait();
	client->remove(&ns->tier);
	ns->clients &= ~BIT(client->user);
	ns->tier.priv[client->user] = NULL;
	look_for_hwpoison(ns);
}

static void resume(struct tier_ns *ns, int nr_users)
{
	while (nr_users--) {
		struct pmem_tier_client *client = clients_by_user[nr_users];

		if (client && has_client(ns, client))
			client->resume(&ns->tier);
	}
	ns->quiesced = false;
}

/* Either nobody uses the tier and nobody can begin to, or nothing changed. */
static int quiesce(struct tier_ns *ns)
{
	int user, err = 0;

	lockdep_assert_held(&tier_lock);
	for (user = 0; user < PMEM_TIER_NR_USERS; user++) {
		struct pmem_tier_client *client = clients_by_user[user];

		if (!client || !has_client(ns, client))
			continue;
		err = client->quiesce(&ns->tier);
		if (err)
			break;
	}
	if (!err && (tier_pool_lent(ns) || tier_hwpoison_left(ns)))
		err = -EBUSY;
	if (err)
		resume(ns, user);
	else
		ns->quiesced = true;
	return err;
}

/* From here on tier_returned() tells. */
static void begin_waiting(void)
{
	atomic_inc(&nr_waiting);
	/* Before the look at what is lent; pairs with tier_returned(). */
	smp_mb__after_atomic();
}

/**
 * tier_publish() - a tier is ready: show it to the clients
 * @ns: the tier
 *
 * Context: process context, takes tier_lock.
 * Return: 0, always: a client that fails doesn't make the tier useless.
 */
int tier_publish(struct tier_ns *ns)
{
	int user;

	INIT_DELAYED_WORK(&ns->hwpoison_work, hwpoison_work);
	mutex_lock(&tier_lock);
	list_add_tail(&ns->node, &tiers);
	for (user = 0; user < PMEM_TIER_NR_USERS; user++)
		if (clients_by_user[user])
			add_client(ns, clients_by_user[user]);
	mutex_unlock(&tier_lock);
	return 0;
}

/**
 * tier_quiesce() - try to stop all use of a tier before it is given back
 * @dev: its namespace device
 *
 * After success the caller must unbind the device.
 *
 * Context: process context, takes tier_lock.
 * Return: 0; -EBUSY, with nothing changed, when it is in use; -ENODEV when the
 * device is no tier.
 */
int tier_quiesce(struct device *dev)
{
	long left = QUIESCE_PATIENCE;
	struct tier_ns *ns;
	int err, seq;

	begin_waiting();
	for (;;) {
		seq = atomic_read(&idle_seq);
		err = -ENODEV;
		mutex_lock(&tier_lock);
		list_for_each_entry(ns, &tiers, node)
			if (ns->tier.dev == dev) {
				err = quiesce(ns);
				break;
			}
		mutex_unlock(&tier_lock);
		if (err != -EBUSY || left <= 0)
			break;
		left = wait_event_interruptible_timeout(idle_wait,
							atomic_read(&idle_seq) != seq,
							left);
	}
	atomic_dec(&nr_waiting);
	return err;
}

/**
 * tier_withdraw() - take a tier away from its clients
 * @ns: the tier
 *
 * The driver core gives no way to refuse at this point. Data in swap is
 * somebody's only copy, so while the tier is in use this waits, and says what
 * for. Every page is back in the pool on return.
 *
 * Context: process context; may sleep for as long as the tier is in use.
 */
void tier_withdraw(struct tier_ns *ns)
{
	unsigned long nag = jiffies;
	int user, seq;

	begin_waiting();
	mutex_lock(&tier_lock);
	for (;;) {
		seq = atomic_read(&idle_seq);
		if (!quiesce(ns))
			break;
		mutex_unlock(&tier_lock);
		if (time_after_eq(jiffies, nag)) {
			pr_warn("%s: removal waits: the namespace is in use (swapoff, unmount, close or kill what uses it)\n",
				ns->tier.name);
			nag = jiffies + REMOVE_NAG;
		}
		wait_event_idle_timeout(idle_wait,
					atomic_read(&idle_seq) != seq,
					REMOVE_NAG);
		mutex_lock(&tier_lock);
	}
	atomic_dec(&nr_waiting);
	for (user = PMEM_TIER_NR_USERS - 1; user >= 0; user--) {
		struct pmem_tier_client *client = clients_by_user[user];

		if (client && has_client(ns, client))
			remove_client(ns, client);
	}
	list_del(&ns->node);
	mutex_unlock(&tier_lock);
	cancel_delayed_work_sync(&ns->hwpoison_work);
	WARN(!tier_pool_idle(ns), "%s: pages of the pool were leaked\n",
	     ns->tier.name);
}

/**
 * tier_client_page_free() - hand a page that mm is done with to who lent it
 * @ns: the tier
 * @page: the page
 *
 * Pages of swap only: their client can't go while one is lent.
 *
 * Context: any, interrupts in any state.
 */
void tier_client_page_free(struct tier_ns *ns, struct page *page)
{
	clients_by_user[PMEM_TIER_SWAP]->page_free(&ns->tier, page);
}

/**
 * tier_returned() - a page that was lent is counted as back
 * @ns: the tier
 *
 * Its client may have said that it is idle before that, and for pages of the page cache
 * nobody else says so.
 *
 * Context: any, interrupts in any state.
 */
void tier_returned(struct tier_ns *ns)
{
	/*
	 * Our page before we look whether somebody waits, and for others: of the last two,
	 * one sees that they were. Pairs with begin_waiting().
	 */
	smp_mb();
	if (unlikely(atomic_read(&nr_waiting)) && !tier_pool_lent(ns))
		pmem_tier_idle();
}

/**
 * tier_client_of() - whose page is it?
 * @ns: the tier
 * @index: the page; the caller has a reference to it
 *
 * Context: under long_pin_srcu, so the client stays.
 * Return: the client, NULL when that is gone.
 */
struct pmem_tier_client *tier_client_of(struct tier_ns *ns,
					unsigned long index)
{
	/* The reference keeps the page what it is, and a page of swap its client. */
	if (!pmem_tier_index_cached(&ns->tier, index))
		return clients_by_user[PMEM_TIER_SWAP];
	return rcu_access_pointer(ns->soft);
}

/**
 * tier_client_poisoned() - have a client get rid of a page that has failed
 * @ns: the tier
 * @index: the page, marked bad
 * @flags: of memory_failure()
 *
 * Context: process context, may sleep; under long_pin_srcu, so a client that is found
 * stays.
 * Return: true when nobody can come across it any more.
 */
bool tier_client_poisoned(struct tier_ns *ns, unsigned long index, int flags)
{
	struct page *page = pmem_tier_index_page(&ns->tier, index);
	struct pmem_tier_client *client;

	/* It is nobody's, in mm's eyes. */
	if (!folio_try_get(page_folio(page)))
		return true;
	/* The reference keeps the page what it is, and a page of swap its client. */
	if (!pmem_tier_index_cached(&ns->tier, index)) {
		client = clients_by_user[PMEM_TIER_SWAP];
		return client->poisoned(&ns->tier, index, flags);
	}
	put_page(page);
	client = rcu_access_pointer(ns->soft);
	return client && client->poisoned(&ns->tier, index, flags);
}

/**
 * tier_claim_begin() - a namespace is about to be claimed
 * @name: the namespace
 *
 * Unless the system is about to hibernate: an image has either nothing of it, or all. With
 * tier_claim_end() behind tier_publish(), it is in nr_claiming or in tiers.
 *
 * Context: process context, takes tier_lock.
 * Return: 0, or -EBUSY.
 */
int tier_claim_begin(const char *name)
{
	int err = 0;

	mutex_lock(&tier_lock);
	if (pmem_tier_hibernating()) {
		pr_err("%s: refused: the system hibernates\n", name);
		err = -EBUSY;
	} else {
		nr_claiming++;
	}
	mutex_unlock(&tier_lock);
	return err;
}

/**
 * tier_claim_end() - it has been claimed, or not
 *
 * Context: process context, takes tier_lock.
 */
void tier_claim_end(void)
{
	mutex_lock(&tier_lock);
	nr_claiming--;
	mutex_unlock(&tier_lock);
}

/* Would an image of the system without the tier lack something? Says what. */
static bool needed(struct tier_ns *ns)
{
	unsigned long lent = tier_pool_lent(ns);

	if (lent)
		pr_err("%s: no hibernation: %lu pages are in use\n",
		       ns->tier.name, lent);
	if (ns->memmap == MEMMAP_PMEM)
		pr_err("%s: no hibernation: its memory map is in pmem (unbind it, or claim it with memmap=ram)\n",
		       ns->tier.name);
	return lent || ns->memmap == MEMMAP_PMEM;
}

/**
 * tier_hibernate_prepare() - an image of the system is to be made
 *
 * A tier without which it would lack something is named in the log, with what it has. Otherwise the
 * image says of all tiers that somebody else may have used them: the kernel that loads it.
 *
 * Context: process context, takes tier_lock.
 * Return: 0, or -EBUSY when some tier is needed.
 */
int tier_hibernate_prepare(void)
{
	struct tier_ns *ns;
	bool any;

	mutex_lock(&tier_lock);
	any = nr_claiming;
	if (any)
		pr_err("no hibernation: a namespace is being claimed\n");
	list_for_each_entry(ns, &tiers, node)
		any |= needed(ns);
	if (!any)
		list_for_each_entry(ns, &tiers, node)
			tier_wipe_all(ns);
	mutex_unlock(&tier_lock);
	return any ? -EBUSY : 0;
}

/**
 * tier_hibernate_done() - the system is back from hibernation, or doesn't hibernate after all
 *
 * The kernel that loaded the image may have claimed namespaces and given them back: headers say
 * once more that they are in use.
 *
 * Context: process context, takes tier_lock.
 */
void tier_hibernate_done(void)
{
	struct tier_ns *ns;

	mutex_lock(&tier_lock);
	list_for_each_entry(ns, &tiers, node)
		tier_header_reopen(ns);
	mutex_unlock(&tier_lock);
}

/**
 * pmem_tier_idle() - a client's use of some tier has ended
 *
 * Wakes a removal that waits for it. For a client that refused quiesce().
 *
 * Context: any.
 */
void pmem_tier_idle(void)
{
	/* Ordered against the waiter's check by wake_up()'s own barrier. */
	atomic_inc(&idle_seq);
	wake_up(&idle_wait);
}
EXPORT_SYMBOL_GPL(pmem_tier_idle);

/**
 * pmem_tier_register_client() - a frontend begins to use tiers
 * @client: the frontend
 *
 * Its add() is called for each tier there is before this returns.
 *
 * Context: process context, may sleep.
 * Return: 0, or -EBUSY when there is a client for that user already.
 */
int pmem_tier_register_client(struct pmem_tier_client *client)
{
	struct tier_ns *ns;
	int err = 0;

	mutex_lock(&tier_lock);
	if (clients_by_user[client->user]) {
		err = -EBUSY;
		goto out;
	}
	clients_by_user[client->user] = client;
	list_for_each_entry(ns, &tiers, node)
		if (!ns->quiesced)
			add_client(ns, client);
out:
	mutex_unlock(&tier_lock);
	return err;
}
EXPORT_SYMBOL_GPL(pmem_tier_register_client);

/**
 * pmem_tier_unregister_client() - a frontend stops using tiers
 * @client: the frontend; nobody uses what it made of the tiers
 *
 * Its remove() is called for each tier before this returns.
 *
 * Context: process context, may sleep.
 */
void pmem_tier_unregister_client(struct pmem_tier_client *client)
{
	struct tier_ns *ns;

	mutex_lock(&tier_lock);
	list_for_each_entry(ns, &tiers, node) {
		if (!has_client(ns, client))
			continue;
		WARN(client->quiesce(&ns->tier), "%s: %s goes while in use\n",
		     ns->tier.name, client->name);
		remove_client(ns, client);
		if (client->user == PMEM_TIER_CACHE)
			tier_cached_orphaned(ns);
	}
	clients_by_user[client->user] = NULL;
	mutex_unlock(&tier_lock);
}
EXPORT_SYMBOL_GPL(pmem_tier_unregister_client);
