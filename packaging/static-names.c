/* Linked into the static binary.
 *
 * A static program of the GNU C library loads the modules that /etc/nsswitch.conf names, of whatever C
 * library the machine has, and crashes when that is another than its own. What asks for hosts and users
 * is therefore kept to the modules that are inside. */
#include <nss.h>

__attribute__((constructor)) static void only_what_is_inside(void) {
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("group", "files");
    __nss_configure_lookup("services", "files");
}
